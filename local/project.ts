/** The project that a task works on: the one of the environment, or the embedded stack. */
import { readConfig } from "../functions/balance-sync/config.ts";
import { LOCAL_KEYS, startStack } from "./stack.ts";
import { startWorldChains } from "./world_chains.ts";
import { seedWorld } from "./world_seed.ts";

/** Disposing ends what was started for it. */
export interface Project extends AsyncDisposable {
  url: string;
  secretKey: string;
}

/** Why a task did nothing: its exit code is 2. */
export class NotRun extends Error {}

/** Throws {@link NotRun} where SUPABASE_URL or a secret key is missing. */
export function projectOfEnvironment(): Project {
  const { supabaseUrl, databaseKey, problems } = readConfig((name) => Deno.env.get(name));
  if (supabaseUrl === "" || databaseKey === "") throw new NotRun(problems.join("\n"));
  return {
    url: supabaseUrl.replace(/\/+$/, ""),
    secretKey: databaseKey,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/**
 * The stack of `deno task dev` when it runs; else one of its own, with the demo's rows on PGlite, and
 * its schedule on if so wanted.
 */
export async function embeddedProject({ schedule = false } = {}): Promise<Project> {
  const url = "http://127.0.0.1:54321";
  const { secretKey } = LOCAL_KEYS;
  const running = await fetch(`${url}/functions/v1/balance-sync/health`, {
    headers: { apikey: secretKey },
  }).then(async ({ status, body }) => {
    await body?.cancel();
    return status === 200 || status === 503;
  }, () => false);
  if (running) return { url, secretKey, [Symbol.asyncDispose]: () => Promise.resolve() };

  await using parts = new AsyncDisposableStack();
  const stack = parts.use(await startStack());
  if (!Deno.env.get("BALANCE_SYNC_DATABASE_URL")) {
    const { chains } = parts.use(await startWorldChains());
    await seedWorld(stack.sql, chains);
    if (schedule) await stack.sql("select balance_sync.schedule()");
  }
  const started = parts.move();
  return { url: stack.url, secretKey, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
