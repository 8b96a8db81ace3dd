/** Whoever can keep balances in sync, side by side. */
import type { Database } from "../local/postgres.ts";

export interface Contender {
  name: string;
  /** Puts into a database of its own what the contender needs, with fresh statistics. */
  prepare(database: Database): Promise<void>;
  /** The n-th of `of` workers, with a connection of its own. */
  open(database: Database, n: number, of: number): Worker;
}

export interface Worker {
  /** One turn of the recurring work: the rows whose balance it wrote and which are due again. */
  turn(): Promise<number>;
  close(): Promise<void>;
}

export const batchSize = 500;

/** One row in a hundred has another balance than the last time; `turn` makes it so. */
export function balanceOf(row: number, turn: number): string {
  return (row + turn) % 100 === 0 ? `${10n ** 18n + BigInt(turn)}` : "1000000000000000000";
}

/** Rows per second of `workers` workers together, after a second of warming up. */
export async function rowsPerSecond(
  contender: Contender,
  database: Database,
  workers: number,
  seconds = 4,
): Promise<number> {
  let rows = 0;
  let measured = false;
  let until = Infinity;
  const all = Array.from({ length: workers }, async (_, n) => {
    const worker = contender.open(database, n, workers);
    while (performance.now() < until) {
      const synced = await worker.turn();
      if (measured && performance.now() < until) rows += synced;
    }
    await worker.close();
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  measured = true;
  until = performance.now() + 1_000 * seconds;
  await Promise.all(all);
  return rows / seconds;
}
