/** `deno task demo`: the main job on real parts, from an empty database to verified balances. */
import { bold, dim, green, red, setColorEnabled, yellow } from "@std/fmt/colors";
import { startStack } from "./stack.ts";
import { type Cell, layOut } from "./table.ts";
import { startWorldChains } from "./world_chains.ts";
import { examineWorld, type Outcome } from "./world_outcome.ts";
import { seedWorld } from "./world_seed.ts";

setColorEnabled(Deno.stdout.isTerminal() && !Deno.noColor);
const started = performance.now();
const log: string[] = [];

console.log(bold("Balance Sync") + dim("  the main job on the embedded stack\n"));
const outcomes = await syncWorld();
show(outcomes);
const ok = outcomes.length > 0 && outcomes.every(({ faults }) => faults.length === 0);
if (!ok) console.error(log.map((line) => dim(line)).join("\n"));
Deno.exitCode = ok ? 0 : 1;

async function syncWorld(): Promise<Outcome[]> {
  const [stack, chains] = await Promise.all([
    startStack({ onLog: (line) => log.push(line) }),
    startWorldChains(),
  ]);
  await using _stack = stack;
  await using _chains = chains;
  const world = await seedWorld(stack.sql, chains.chains);
  const [{ version } = { version: "" }] = await stack.sql<{ version: string }>(
    "select split_part(current_setting('server_version'), ' ', 1) as version",
  );
  step("database", `Postgres ${version}, migrated and seeded`, `${stack.url}/rest/v1`);
  for (const { name, node, rpcUrl } of chains.chains) {
    const what = name === "tron" ? "a TRON node's API over anvil" : "anvil, with ERC-20 contracts";
    if (node) step(name, what, rpcUrl);
  }

  const asked = performance.now();
  const response = await fetch(stack.functionUrl, {
    method: "POST",
    headers: { "x-balance-sync-secret": stack.syncSecret },
  });
  const answer = await response.json();
  step("function", `POST answered ${response.status} ${since(asked)}`, stack.functionUrl);
  if (!response.ok) log.push(JSON.stringify(answer));
  for (const { name, claimed, rpc_calls } of answer.chains ?? []) {
    const requests = rpc_calls === 1 ? "1 RPC request" : `${rpc_calls} RPC requests`;
    step("", `${name}: ${claimed} balances in ${requests}`);
  }

  const outcomes = await examineWorld(stack.sql, world.rows, chains.chains);
  await world.remove();
  return outcomes;
}

function show(outcomes: Outcome[]): void {
  const synced = outcomes.filter(({ raw }) => raw !== null);
  const failed = outcomes.filter(({ last_error }) => last_error !== null);
  const left = outcomes.filter(({ raw, last_error }) => raw === null && last_error === null);
  const wrong = outcomes.filter(({ faults }) => faults.length > 0);

  console.log();
  const head = ["chain", "asset", "address", "raw", "human", "block", "status"];
  const [title, ...lines] = layOut([
    head.map((name) => ["raw", "human", "block"].includes(name) ? { right: name } : name),
    ...outcomes.map(cells),
  ]);
  console.log([dim(title!), ...lines].join("\n"));

  console.log(
    `\n${outcomes.length} rows: ${green(`${synced.length} synced`)}, ` +
      `${red(`${failed.length} failed`)}, ${yellow(`${left.length} rightly left alone`)}`,
  );
  console.log("\nFailed as they must: never a false zero, and no neighbour harmed");
  list(failed.map((row) => [row, row.last_error!]));
  console.log("\nLeft alone, until what keeps them changes");
  list(left.map((row) => [row, "left" in row.ending ? row.ending.left : "unexpectedly"]));

  if (wrong.length > 0) {
    console.log(red("\nNot as they should have ended"));
    list(wrong.map((row) => [row, row.faults.join(", ")]));
    return;
  }
  console.log(
    `\n${green("Every row ended as it should.")} ` +
      `${synced.length} balances compared with their chains ${since(started)}.\n`,
  );
  console.log(
    layOut([
      ["Next", bold("npx deno task dev"), "the same stack kept running, synced every 30 s"],
      ["", bold("npx deno task test"), "every test there is"],
      ["", bold("README.md"), "how it works, and how to deploy it to your project"],
    ]).join("\n"),
  );
}

function cells({ chain, symbol, address, raw, human, block, last_error, ending }: Outcome): Cell[] {
  const status = raw !== null
    ? green("synced") + ("synced" in ending && ending.synced ? dim(` (${ending.synced})`) : "")
    : last_error !== null
    ? red(last_error.split(":")[0]!)
    : yellow("left alone");
  const number = (text: string | null) => ({ right: text ?? dim("-") });
  return [chain, symbol, brief(address), number(raw), number(human), number(block), status];
}

function brief(address: string | null): string {
  return address ? `${address.slice(0, 6)}…${address.slice(-4)}` : dim("none");
}

function list(rows: [Outcome, string][]): void {
  console.log(
    layOut(rows.map(([{ chain, symbol }, why]) => [`  ${chain}`, symbol, why])).join("\n"),
  );
}

function step(what: string, how: string, where = ""): void {
  console.log(`  ${what.padEnd(10)}${how.padEnd(37)}${dim(where)}`.trimEnd());
}

function since(start: number): string {
  return `(${((performance.now() - start) / 1000).toFixed(1)} s)`;
}
