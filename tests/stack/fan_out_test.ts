import { assertEquals } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { startEvmNode } from "../../local/evm_node.ts";
import { findPostgres, startPostgres } from "../../local/postgres.ts";
import { startStack } from "../../local/stack.ts";
import { startProxy } from "../chains/proxy.ts";
import { addBacklog, countSynced, dispatch, untilRuns } from "./backlog.ts";

const rows = 2_000;
/** A run is reckoned to do 100 batches: four are needed. */
const batchSize = 5;
/** As a provider in another region answers; without it one process keeps a small machine busy. */
const latencyMs = 30;

const binaries = await findPostgres();
const missing = "missing" in binaries ? binaries.missing : undefined;

Deno.test({
  name: `a backlog is worked off by as many processes as it needs${missing ? ` (${missing})` : ""}`,
  ignore: missing !== undefined,
  async fn(test) {
    await using server = await startPostgres();
    await using node = await startEvmNode({ chainId: 56 });
    await using proxy = await startProxy(node.url);
    await using stack = await startStack({ databaseUrl: server.url, functions: 4 });
    const { sql } = stack;
    proxy.behave(async ({ forward }) => {
      await delay(latencyMs);
      return await forward();
    });
    await addBacklog({ sql, node, rpcUrl: proxy.url, rows });
    // a row that was synced is not due again before the test ends
    await sql("update balance_sync.settings set batch_size = $1, sync_interval_seconds = 3600", [
      batchSize,
    ]);

    for (const [cycle, parallel] of [1, 4].entries()) {
      await test.step({
        name:
          `${parallel} at a time sync each of ${rows} rows once, and a tick meanwhile adds none`,
        sanitizeOps: false,
        sanitizeResources: false,
        async fn() {
          await sql("delete from balance_sync.runs");
          await sql("update balance_sync.settings set max_parallel_runs = $1", [parallel]);
          await sql("update public.wallet_balances set next_sync_at = now()");

          assertEquals(await dispatch(sql), parallel);
          await untilRuns(sql, `count(*) filter (where recorded > 0) = ${parallel}`);
          assertEquals(await dispatch(sql), 0);
          await untilRuns(sql, "bool_and(ended_at is not null)");

          assertEquals(await countSynced(sql, cycle + 1), rows);
          const [counts] = await sql<Record<string, number | string[]>>(
            `select
               count(*)::integer as runs,
               sum(claimed)::integer as claimed,
               sum(recorded)::integer as recorded,
               array_agg(distinct stopped_because) as endings
             from balance_sync.runs`,
          );
          assertEquals(counts, {
            runs: parallel,
            claimed: rows,
            recorded: rows,
            endings: ["drained"],
          });
          assertEquals(await dispatch(sql), 0, "a tick after them adds none either");
        },
      });
    }
  },
});
