/**
 * Rows per second beside whoever else could do it, on the same recurring work: take a batch of due
 * rows, write each balance into the wide row, have the row due again, be done. A million rows, batches
 * of 500, five rounds in turn on one server; each contender has a copy of the same database.
 */
import type { Database } from "../local/postgres.ts";
import { bareRecord, bareUpdate, rowByRow } from "./claim_bare.ts";
import { type Contender, rowsPerSecond } from "./claim_contender.ts";
import { graphileWorker } from "./claim_graphile.ts";
import { ours } from "./claim_ours.ts";
import { pgBoss } from "./claim_pg_boss.ts";
import { startBenchServer } from "./claim_server.ts";
import { type Figure, figure, median, show } from "./figure.ts";

const rows = 1_000_000;
const rounds = 5;

export async function run(): Promise<Figure[]> {
  await using server = await startBenchServer(rows);
  const contest: { contender: Contender; workers: number; database: Database; rates: number[] }[] =
    [];
  for (const contender of [ours, graphileWorker, pgBoss, rowByRow, bareUpdate, bareRecord]) {
    for (const workers of contender === ours ? [1, 4, 16] : [4]) {
      const database = await server.createDatabase();
      await contender.prepare(database);
      contest.push({ contender, workers, database, rates: [] });
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const { contender, workers, database, rates } of contest) {
      rates.push(await rowsPerSecond(contender, database, workers));
    }
  }
  const rate = (contender: Contender, workers = 4) =>
    median(contest.find((c) => c.contender === contender && c.workers === workers)!.rates);

  const beside = (contender: Contender, target: number) =>
    figure(
      `4 workers beside ${contender.name}`,
      Math.round(rate(ours)),
      Math.round(rate(contender)),
      "rows/s",
      target,
      { moreIsBetter: true },
    );
  return [
    beside(graphileWorker, 1.5),
    beside(pgBoss, 2),
    beside(rowByRow, 14),
    beside(bareRecord, 0.25),
    beside(bareUpdate, 0.25),
    figure("16 workers beside our own 4", rate(ours, 16), rate(ours), "rows/s", 0.85, {
      moreIsBetter: true,
    }),
    figure("4 workers beside our own 1", rate(ours), rate(ours, 1), "rows/s", 1, {
      moreIsBetter: true,
    }),
  ];
}

if (import.meta.main) {
  for (const line of await run()) show(line);
}
