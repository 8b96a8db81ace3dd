/** How long a claim of 500 rows takes while four workers claim and record. */
import type { Database } from "../local/postgres.ts";
import { balanceOf, batchSize } from "./claim_contender.ts";
import { connect } from "./claim_server.ts";

export interface Latency {
  p50: number;
  p99: number;
  /** Values, not errors. */
  rowsPerSecond: number;
}

export interface Load {
  /** Stops after so many values … */
  rows?: number;
  /** … or so long after a second of warming up. */
  seconds?: number;
  /** Whether reading this row ends in an error. */
  fails?: (id: string) => boolean;
}

const workers = 4;

const reverted = { error: { code: "call_reverted", message: "balanceOf reverted" } };

export async function claimLatency(
  { serviceUrl }: Database,
  { rows = Infinity, seconds = Infinity, fails = () => false }: Load,
): Promise<Latency> {
  const milliseconds: number[] = [];
  let recorded = 0;
  const begin = performance.now() + 1_000;
  const goesOn = () => recorded < rows && performance.now() < begin + 1_000 * seconds;
  await Promise.all(Array.from({ length: workers }, async (_, n) => {
    const sql = connect(serviceUrl);
    for (let turn = 0; goesOn(); turn++) {
      const before = performance.now();
      const [claimed] = await sql`
        select claim_wallet_balances(${`worker ${n}`}, ${batchSize}) as claim`;
      if (before >= begin) milliseconds.push(performance.now() - before);
      const { claim_id, chains } = claimed!.claim;
      if (claim_id === null) continue;
      const block = `${Date.now()}`;
      const results = chains
        .flatMap(({ balances }: { balances: { id: string }[] }) => balances)
        .map(({ id }: { id: string }, row: number) =>
          fails(id) ? { id, ...reverted } : { id, raw: balanceOf(row, turn), block }
        );
      const [answer] = await sql`
        select (record_wallet_balances(${claim_id}, ${
        sql.json(results)
      }) ->> 'recorded')::integer as rows`;
      if (before >= begin) recorded += answer!.rows;
    }
    await sql.end();
  }));
  milliseconds.sort((a, b) => a - b);
  const at = (share: number) => milliseconds[Math.floor(milliseconds.length * share)]!;
  return {
    p50: at(0.5),
    p99: at(0.99),
    rowsPerSecond: recorded / ((performance.now() - begin) / 1_000),
  };
}
