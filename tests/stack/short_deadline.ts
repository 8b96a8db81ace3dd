/** The function as index.ts serves it, with a deadline that a test can wait for. */
import { readConfig } from "../../functions/balance-sync/config.ts";
import { createHandler } from "../../functions/balance-sync/handler.ts";

const config = readConfig((name) => Deno.env.get(name));
Deno.serve(createHandler({ ...config, deadlineMs: 3_000 }));
