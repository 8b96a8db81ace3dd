/**
 * pg-boss in its best batched form: fetch, insert and complete of 500 jobs a call, on the connection
 * of ours, with the balances written by one update in one transaction with the latter two. A job
 * carries what it takes to read its balance, as a claim's answer does.
 */
import { PgBoss } from "pg-boss";
import { balanceOf, batchSize, type Contender } from "./claim_contender.ts";
import { connect, query, withAdmin } from "./claim_server.ts";
import { dropIndexes, type Target, targets, writeBalances } from "./claim_write.ts";

const queue = "sync";
/** No maintenance of its own meanwhile. */
const quiet = { supervise: false, schedule: false };

export const pgBoss: Contender = {
  name: "pg-boss",
  async prepare(database) {
    const boss = new PgBoss({ connectionString: database.adminUrl, ...quiet });
    await boss.start();
    await boss.createQueue(queue);
    await withAdmin(database, async (sql) => {
      await dropIndexes(sql);
      for await (
        const rows of targets(sql).cursor(10_000)
      ) {
        await boss.insert(queue, rows.map(({ target }) => ({ data: target })));
      }
      await sql.unsafe("vacuum analyze").simple();
    });
    await boss.stop({ graceful: false });
  },
  open({ adminUrl }) {
    const sql = connect(adminUrl);
    const db = { executeSql: (text: string, values?: unknown[]) => query(sql, text, values) };
    const boss = new PgBoss({ db, ...quiet, migrate: false });
    const started = boss.start();
    let turn = 0;
    return {
      async turn() {
        await started;
        const jobs = await boss.fetch<Target>(queue, { batchSize });
        turn++;
        const ids = jobs.map(({ data }) => data.id);
        await sql`begin`;
        await writeBalances(sql, ids, ids.map((_, row) => balanceOf(row, turn)), turn);
        await boss.insert(queue, jobs.map(({ data }) => ({ data })));
        await boss.complete(queue, jobs.map(({ id }) => id));
        await sql`commit`;
        return ids.length;
      },
      async close() {
        await boss.stop({ graceful: false });
        await sql.end();
      },
    };
  },
};
