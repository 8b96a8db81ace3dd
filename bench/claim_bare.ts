/** What stands below and above every claim: the seeds' worker, row by row, and a bare update. */
import { balanceOf, batchSize, type Contender, type Worker } from "./claim_contender.ts";
import { ours } from "./claim_ours.ts";
import { connect, withAdmin } from "./claim_server.ts";
import { dropIndexes, writeBalances } from "./claim_write.ts";
import type { Database } from "../local/postgres.ts";
import type postgres from "postgres";

/**
 * The seeds' worker: per row three selects (asset, chain, address) and two updates (balance, lock). It
 * is spared its claim: each worker has its rows from the start. No network lies between.
 */
export const rowByRow: Contender = {
  name: "the seeds' worker",
  prepare: withoutIndexes,
  open: (database, n, of) =>
    worker(database, n, of, async (sql, ids, turn) => {
      for (const [row, id] of ids.slice(0, 50).entries()) {
        const [balance] = await sql`
          select b.wallet_id, a.chain_id, a.decimals
          from wallet_balances as b join asset_on_chain as a on a.id = b.asset_on_chain_id
          where b.id = ${id}`;
        await sql`select * from chains where id = ${balance!.chain_id}`;
        await sql`
          select address from user_wallet_addresses
          where wallet_id = ${balance!.wallet_id} and chain_id = ${
          balance!.chain_id
        } and is_active`;
        await writeBalances(sql, [id], [balanceOf(row, turn)], turn);
        await sql`
          update wallet_balances
          set processing_status = 'idle', locked_until = null, locked_by = null
          where id = ${id}`;
      }
      return 50;
    }),
};

/** An update of the balance columns alone: no claim, no check, no due time, nothing indexed (HOT). */
export const bareUpdate: Contender = {
  name: "bare update of the balance columns",
  prepare: withoutIndexes,
  open: (database, n, of) =>
    worker(database, n, of, async (sql, ids, turn) => {
      await writeBalances(sql, ids, ids.map((_, row) => balanceOf(row, turn)), turn);
      return ids.length;
    }),
};

/** The same in the table as it is, with the columns that make the row due again. */
export const bareRecord: Contender = {
  name: "bare update of what a record writes",
  prepare: ours.prepare,
  open: (database, n, of) =>
    worker(database, n, of, async (sql, ids, turn) => {
      const dueAgain = sql`,
        consecutive_errors = 0,
        next_sync_at = now(),
        processing_status = 'idle',
        locked_until = null,
        locked_by = null`;
      await writeBalances(sql, ids, ids.map((_, row) => balanceOf(row, turn)), turn, dueAgain);
      return ids.length;
    }),
};

function withoutIndexes(database: Database): Promise<void> {
  return withAdmin(database, async (sql) => {
    await dropIndexes(sql);
    await sql.unsafe("vacuum analyze").simple();
  });
}

/** Goes through its share of the rows in the table's order, a batch a turn, over and over. */
function worker(
  { adminUrl }: Database,
  n: number,
  of: number,
  write: (sql: postgres.Sql, ids: string[], turn: number) => Promise<number>,
): Worker {
  const sql = connect(adminUrl);
  let mine: Promise<string[]> | undefined;
  let turn = 0;
  return {
    async turn() {
      mine ??= sql`
        select array_agg(id order by place) as ids
        from (select id, ctid, row_number() over (order by ctid) as place from wallet_balances) as r
        where place / ${batchSize} % ${of} = ${n}
          and place < 400000`.then(([row]) => row!.ids);
      const ids = await mine;
      const from = (turn++ * batchSize) % ids.length;
      return await write(sql, ids.slice(from, from + batchSize), turn);
    },
    close: () => sql.end(),
  };
}
