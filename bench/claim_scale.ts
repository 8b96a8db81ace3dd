/**
 * A claim's latency at a hundred times the rows: 10 million beside 100,000, in turn on one server. The
 * large table takes about five minutes and 6 GB to make; BENCH_ROWS makes it another size.
 */
import { claimLatency, type Latency } from "./claim_latency.ts";
import { startBenchServer, withAdmin } from "./claim_server.ts";
import { fillWalletBalances } from "./claim_table.ts";
import { type Figure, figure, median, show } from "./figure.ts";

const small = 100_000;
const large = Number(Deno.env.get("BENCH_ROWS") ?? 10_000_000);
const rounds = 5;

export async function run(): Promise<Figure[]> {
  await using server = await startBenchServer(small);
  const few = await server.createDatabase();
  const many = server;
  await withAdmin(many, async (sql) => {
    await sql.unsafe(`
      truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
      truncate balance_sync.lanes;
    `).simple();
    await fillWalletBalances(sql, large);
  });

  const measured: { few: Latency; many: Latency }[] = [];
  for (let round = 0; round < rounds; round++) {
    // in four seconds the small table is gone through about once, so that it is vacuumed as often
    await withAdmin(few, (sql) => sql.unsafe("vacuum wallet_balances").simple());
    measured.push({
      few: await claimLatency(few, { seconds: 4 }),
      many: await claimLatency(many, { seconds: 4 }),
    });
  }
  const beside = (what: keyof Latency, unit: string, target: number) =>
    figure(
      `claim of 500 at ${large} rows beside ${small}: ${what}`,
      median(measured.map((m) => m.many[what])),
      median(measured.map((m) => m.few[what])),
      unit,
      target,
    );
  return [beside("p50", "ms", 1.5), beside("p99", "ms", 2)];
}

if (import.meta.main) {
  for (const line of await run()) show(line);
}
