import { readConfig } from "./config.ts";
import { createHandler } from "./handler.ts";

// The platform warns an isolate that is about to reach its limit of CPU, memory or time: a run then
// gives back what it has not read.
const unload = new AbortController();
addEventListener("beforeunload", () => unload.abort());

Deno.serve(createHandler(readConfig((name) => Deno.env.get(name)), unload.signal));
