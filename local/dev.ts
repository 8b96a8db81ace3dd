/** `deno task dev`: the embedded stack with the demo's world, kept running and synced by its schedule. */
import { bold, dim, red, setColorEnabled } from "@std/fmt/colors";
import { startStack } from "./stack.ts";
import { layOut } from "./table.ts";
import { startWorldChains } from "./world_chains.ts";
import { seedWorld } from "./world_seed.ts";

const PORT = 54321;
const EVERY = "30 seconds";

setColorEnabled(Deno.stdout.isTerminal() && !Deno.noColor);
const stopped = Promise.withResolvers<void>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  if (Deno.build.os === "windows" && signal === "SIGTERM") continue;
  Deno.addSignalListener(signal, () => stopped.resolve());
}

try {
  await run();
  // listeners would keep us alive
  Deno.exit(0);
} catch (error) {
  if (!(error instanceof Deno.errors.AddrInUse)) throw error;
  console.error(
    `Cannot listen on port ${PORT}: expected it to be free. Does another stack run, or supabase start?`,
  );
  Deno.exit(1);
}

async function run(): Promise<void> {
  await using stack = await startStack({ port: PORT, onLog: report });
  await using chains = await startWorldChains();
  const world = await seedWorld(stack.sql, chains.chains);
  await stack.sql("select balance_sync.schedule($1)", [EVERY]);

  const { url, functionUrl, secretKey, publishableKey, syncSecret } = stack;
  const lines = layOut([
    ["Data API", `${url}/rest/v1`],
    ["function", functionUrl],
    ["secret key", secretKey, dim("header apikey")],
    ["publishable key", publishableKey, dim("opens nothing of ours")],
    ["sync secret", syncSecret, dim("header x-balance-sync-secret")],
    ...chains.chains.filter(({ node }) => node).map(({ name, rpcUrl }) => [name, rpcUrl]),
  ]);
  console.log(`${bold("Balance Sync")} ${dim(`synced every ${EVERY}; Ctrl-C stops all of it`)}

${lines.map((line) => `  ${line}`).join("\n")}

  ${dim("# sync now")}
  curl -X POST ${functionUrl} -H 'apikey: ${secretKey}'
  ${dim("# the same, row by row")}
  npx deno task sync --local
  ${dim("# the balances")}
  curl '${url}/rest/v1/wallet_balances?select=on_chain_balance_human,last_checked,last_error' -H 'apikey: ${secretKey}'
`);

  await stopped.promise;
  await stack.sql("select balance_sync.unschedule()");
  await world.remove();
}

/** A run in one line; a warning or error as the function wrote it. */
function report(line: string): void {
  let event;
  try {
    event = JSON.parse(line);
  } catch {
    return console.log(line);
  }
  if (event.level !== "info") return console.log(red(line));
  if (event.duration_ms === undefined) return;
  const { time, claimed, recorded, changed, failed, duration_ms } = event;
  console.log(
    `${dim(new Date(time).toLocaleTimeString())}  ${claimed} claimed, ${recorded} recorded, ` +
      `${changed} changed, ${failed} failed ${dim(`(${duration_ms} ms)`)}`,
  );
}
