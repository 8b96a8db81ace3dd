/**
 * What two million row-syncs on a million rows do to the claim and to the table, with autovacuum as
 * Postgres comes: fresh copies of the table beside the one that has seen them, in turn on one server.
 */
import type postgres from "postgres";
import { claimLatency, type Latency } from "./claim_latency.ts";
import { startBenchServer, withAdmin } from "./claim_server.ts";
import { type Figure, figure, median, show } from "./figure.ts";

const rows = 1_000_000;
const rounds = 5;

export async function run(): Promise<Figure[]> {
  await using server = await startBenchServer(rows);
  const used = await server.createDatabase();
  const before = await withAdmin(used, sizes);
  await claimLatency(used, { rows: 2 * rows });
  const after = await withAdmin(used, sizes);

  const measured: { fresh: Latency; used: Latency }[] = [];
  for (let round = 0; round < rounds; round++) {
    const fresh = await server.createDatabase();
    measured.push({
      fresh: await claimLatency(fresh, { seconds: 4 }),
      used: await claimLatency(used, { seconds: 4 }),
    });
  }
  const beside = (what: "p50" | "p99") =>
    figure(
      `claim of 500 after 2,000,000 row-syncs beside fresh: ${what}`,
      median(measured.map((m) => m.used[what])),
      median(measured.map((m) => m.fresh[what])),
      "ms",
      1.2,
    );
  return [
    beside("p50"),
    beside("p99"),
    figure(
      "rows/s after 2,000,000 row-syncs beside fresh",
      median(measured.map((m) => m.used.rowsPerSecond)),
      median(measured.map((m) => m.fresh.rowsPerSecond)),
      "rows/s",
      1 / 1.2,
      { moreIsBetter: true },
    ),
    // every claim is HOT, no record is: next_sync_at is indexed
    figure("HOT updates of all", after.hot, after.updates, "updates", 0.45, { moreIsBetter: true }),
    figure("table after beside before", after.table / 1e6, before.table / 1e6, "MB", 1.5),
    figure("its indexes after beside before", after.indexes / 1e6, before.indexes / 1e6, "MB", 2.5),
  ];
}

interface Sizes {
  table: number;
  indexes: number;
  updates: number;
  hot: number;
}

async function sizes(sql: postgres.Sql): Promise<Sizes> {
  // the sessions that have just ended tell their counts within a second
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const [found] = await sql<[Sizes]>`
    select
      pg_table_size(relid)::float8 as table,
      pg_indexes_size(relid)::float8 as indexes,
      n_tup_upd::float8 as updates,
      n_tup_hot_upd::float8 as hot
    from pg_stat_user_tables
    where relname = 'wallet_balances'`;
  return found;
}

if (import.meta.main) {
  for (const line of await run()) show(line);
}
