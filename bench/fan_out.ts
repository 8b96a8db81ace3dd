/**
 * Rows per second by the number of runs at a time: due rows on one chain, worked off by the runs that
 * dispatch() queues, each in a function process of its own, on a real Postgres.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Sql } from "../local/database.ts";
import { startEvmNode } from "../local/evm_node.ts";
import { startPostgres } from "../local/postgres.ts";
import { startStack } from "../local/stack.ts";
import { startProxy } from "../tests/chains/proxy.ts";
import { addBacklog, countSynced, dispatch } from "../tests/stack/backlog.ts";
import { type Figure, figure, show } from "./figure.ts";

const rows = 100_000;
/** A run is reckoned to do 100 batches, so that eight runs are needed. */
const batchSize = 125;
/** A provider in another region; on this machine itself, where the processors are the limit. */
const latenciesMs = [100, 0];
/** Runs at a time, and the share of one run's time they may take where the node's latency counts. */
const targets: Record<number, number> = { 1: 1, 2: 0.6, 4: 0.35, 8: 0.25 };

export async function run(): Promise<Figure[]> {
  await using server = await startPostgres();
  await using node = await startEvmNode({ chainId: 56 });
  await using proxy = await startProxy(node.url);
  await using stack = await startStack({ databaseUrl: server.url, functions: 8 });
  const { sql } = stack;
  await addBacklog({ sql, node, rpcUrl: proxy.url, rows });
  // a row that was synced is not due again before the end
  await sql("update balance_sync.settings set batch_size = $1, sync_interval_seconds = 36000", [
    batchSize,
  ]);

  const figures: Figure[] = [];
  let cycle = 0;
  for (const latencyMs of latenciesMs) {
    proxy.behave(async ({ forward }) => {
      if (latencyMs > 0) await delay(latencyMs);
      return await forward();
    });
    let alone: number | undefined;
    for (const [parallel, target] of Object.entries(targets)) {
      const seconds = await workOff(sql, Number(parallel), ++cycle);
      alone ??= seconds;
      const rate = Math.round(rows / seconds);
      const name = `${rows} rows, node ${latencyMs} ms away, ${parallel} at a time: ${rate} rows/s`;
      figures.push(figure(name, seconds, alone, "s", latencyMs > 0 ? target : 1.1));
    }
  }
  return figures;
}

/** Makes every row due and ticks every second until all are synced; the seconds that took. */
async function workOff(sql: Sql, parallel: number, cycle: number): Promise<number> {
  await sql("delete from balance_sync.runs");
  await sql("update balance_sync.settings set max_parallel_runs = $1", [parallel]);
  await sql("update public.wallet_balances set next_sync_at = now()");
  await sql("vacuum analyze public.wallet_balances");
  do {
    await dispatch(sql);
    await delay(1000);
  } while ((await sql("select from balance_sync.runs where ended_at is null limit 1")).length > 0);

  const synced = await countSynced(sql, cycle);
  if (synced !== rows) {
    throw new Error(`Expected ${rows} rows synced ${cycle} times, found ${synced}`);
  }
  const [took] = await sql<{ seconds: number }>(
    `select extract(epoch from max(ended_at) - min(started_at))::float as seconds
     from balance_sync.runs`,
  );
  return took!.seconds;
}

if (import.meta.main) {
  for (const line of await run()) show(line);
}
