/**
 * What rows that cannot be synced cost those that can: half of a million rows unclaimable, a tenth
 * failing for ever, nine tenths on chains that are out. Each beside a table without such rows, in turn
 * on one server.
 */
import type { Database } from "../local/postgres.ts";
import { claimLatency, type Latency, type Load } from "./claim_latency.ts";
import { startBenchServer, withAdmin } from "./claim_server.ts";
import { type Figure, figure, median, show } from "./figure.ts";

const rows = 1_000_000;
const rounds = 9;

export async function run(): Promise<Figure[]> {
  await using server = await startBenchServer(rows);
  const [healthy, parked, failing, out] = await Promise.all(
    [0, 1, 2, 3].map(() => server.createDatabase()),
  );
  const measured = {
    healthy: [] as Latency[],
    parked: [] as Latency[],
    failing: [] as Latency[],
    out: [] as Latency[],
  };
  // a tenth of all ids
  const fails: Load["fails"] = (id) => Number.parseInt(id.slice(0, 2), 16) < 26;
  await park(parked!);
  await bringOut(out!);
  // each has been gone through once before it is measured
  await claimLatency(healthy!, { rows });
  await claimLatency(failing!, { rows: 0.9 * rows, fails });
  await withAdmin(failing!, (sql) =>
    // as they are after two hours of failing: at 30 s, 1 min, 2 min, … they were asked nine times
    sql`
      update wallet_balances
      set consecutive_errors = 9, next_sync_at = now() + random() * interval '2 hours 8 minutes'
      where consecutive_errors > 0`);
  for (const database of [healthy!, parked!, failing!, out!]) {
    await withAdmin(database, (sql) => sql.unsafe("vacuum wallet_balances").simple());
  }

  for (let round = 0; round < rounds; round++) {
    measured.healthy.push(await claimLatency(healthy!, { seconds: 4 }));
    measured.parked.push(await claimLatency(parked!, { seconds: 4 }));
    measured.failing.push(await claimLatency(failing!, { seconds: 4, fails }));
    measured.out.push(await claimLatency(out!, { seconds: 4 }));
  }
  const of = (table: keyof typeof measured, what: keyof Latency) =>
    median(measured[table].map((latency) => latency[what]));
  return [
    figure(
      "claim of 500 with half of the rows parked beside none: p50",
      of("parked", "p50"),
      of("healthy", "p50"),
      "ms",
      1.2,
    ),
    figure(
      "values per second with a tenth failing for ever beside none",
      of("failing", "rowsPerSecond"),
      of("healthy", "rowsPerSecond"),
      "rows/s",
      0.95,
      { moreIsBetter: true },
    ),
    figure(
      "claim of 500 with nine tenths on chains that are out beside none: p50",
      of("out", "p50"),
      of("healthy", "p50"),
      "ms",
      1.2,
    ),
  ];
}

/** Two chains with half of the rows are switched off, and claims meet and park those: the first pass. */
function park(database: Database): Promise<void> {
  return withAdmin(database, async (sql) => {
    await sql`update chains set is_active = false where name in ('chain_1', 'chain_4')`;
    for (;;) {
      await claimLatency(database, { seconds: 2 });
      const [left] = await sql`
        select count(*)::integer as rows
        from wallet_balances as b
        join asset_on_chain as a on a.id = b.asset_on_chain_id
        join chains as c on c.id = a.chain_id
        where not c.is_active and b.next_sync_at is not null`;
      if (left!.rows === 0) break;
    }
  });
}

async function bringOut(database: Database): Promise<void> {
  await withAdmin(database, (sql) =>
    sql`
      insert into balance_sync.chain_state (chain_id, out_since, out_until, outages)
      select id, now(), now() + interval '1 day', 1 from chains where name <> 'chain_4'`);
}

if (import.meta.main) {
  for (const line of await run()) show(line);
}
