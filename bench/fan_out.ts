/**
 * Rows per second by the number of runs at a time: 100,000 due rows on one chain, worked off by the
 * runs that dispatch() queues, each in a function process of its own, on a real Postgres.
 *
 *     deno run -A bench/fan_out.ts [rows]
 */
import { setTimeout as delay } from "node:timers/promises";
import { startEvmNode } from "../local/evm_node.ts";
import { startPostgres } from "../local/postgres.ts";
import { startStack } from "../local/stack.ts";
import { startProxy } from "../tests/chains/proxy.ts";
import { addBacklog, countSynced, dispatch } from "../tests/stack/backlog.ts";

const rows = Number(Deno.args[0] ?? 100_000);
const batchSize = 125;
const parallels = [1, 2, 4, 8];
/** 0: the node is on this machine. 100: it is a provider in another region. */
const latenciesMs = [100, 0];

await using server = await startPostgres();
await using node = await startEvmNode({ chainId: 56 });
await using proxy = await startProxy(node.url);
await using stack = await startStack({
  databaseUrl: server.url,
  functions: Math.max(...parallels),
  onLog(line) {
    if (!line.includes('"level":"info"')) console.error(line);
  },
});
const { sql } = stack;
let latencyMs = 0;
proxy.behave(async ({ forward }) => {
  if (latencyMs > 0) await delay(latencyMs);
  return await forward();
});
await addBacklog({ sql, node, rpcUrl: proxy.url, rows });
// a row that was synced is not due again before the end
await sql("update balance_sync.settings set batch_size = $1, sync_interval_seconds = 36000", [
  batchSize,
]);

let cycle = 0;
for (latencyMs of latenciesMs) {
  console.log(`\n${rows} rows, ${batchSize} a batch, ${latencyMs} ms of latency before the node`);
  for (const parallel of parallels) {
    cycle++;
    console.log(await measure(parallel));
  }
}

async function measure(parallel: number): Promise<string> {
  await sql("delete from balance_sync.runs");
  await sql("update balance_sync.settings set max_parallel_runs = $1", [parallel]);
  await sql("update public.wallet_balances set next_sync_at = now()");
  await sql("vacuum analyze public.wallet_balances");

  const started = performance.now();
  let ticks = 0;
  do {
    await dispatch(sql);
    ticks++;
    await delay(1000);
  } while ((await sql("select from balance_sync.runs where ended_at is null limit 1")).length > 0);

  const synced = await countSynced(sql, cycle);
  if (synced !== rows) {
    throw new Error(`Expected ${rows} rows synced ${cycle} times, found ${synced}`);
  }
  const [run] = await sql<{ runs: number; claimed: number; seconds: number }>(
    `select
       count(*)::integer as runs,
       sum(claimed)::integer as claimed,
       extract(epoch from max(ended_at) - min(started_at))::float as seconds
     from balance_sync.runs`,
  );
  const { runs, claimed, seconds } = run!;
  const rate = Math.round(rows / seconds);
  const wall = Math.round((performance.now() - started) / 1000);
  return `${parallel} at a time: ${rate} rows/s, ${runs} runs in ${ticks} ticks, ` +
    `${claimed - rows} rows claimed twice, ${wall} s`;
}
