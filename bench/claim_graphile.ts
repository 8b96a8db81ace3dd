/**
 * graphile-worker in its best batched form: its own statements, called as its runner calls them with a
 * local queue of 500 and batched completion, but without the runner around them. A job carries what it
 * takes to read its balance, as a claim's answer does. The balances are written by one update a batch,
 * in one transaction with the jobs of the next round.
 */
import { runMigrations } from "graphile-worker";
import { balanceOf, batchSize, type Contender } from "./claim_contender.ts";
import { connect, query, withAdmin } from "./claim_server.ts";
import { dropIndexes, type Target, targets, writeBalances } from "./claim_write.ts";

interface Job {
  id: string;
  job_queue_id: null;
  payload: Target;
}

interface Query {
  text: string;
  values: unknown[];
}

const { batchGetJobs } = await internal("getJobs");
const { batchCompleteJobs } = await internal("completeJobs");

const options = {
  workerSchema: "graphile_worker",
  escapedWorkerSchema: "graphile_worker",
  resolvedPreset: { worker: { preparedStatements: true, useNodeTime: false } },
};

export const graphileWorker: Contender = {
  name: "graphile-worker",
  async prepare(database) {
    await runMigrations({ connectionString: database.adminUrl });
    await withAdmin(database, async (sql) => {
      await dropIndexes(sql);
      await sql`
        select count(*) from graphile_worker.add_jobs(array(
          select json_populate_record(
            null::graphile_worker.job_spec,
            json_build_object('identifier', 'sync', 'payload', t.target, 'run_at', t.due_at)
          )
          from (${targets(sql)}) as t
        ))`;
      await sql.unsafe("vacuum analyze").simple();
    });
  },
  open({ adminUrl }, n) {
    const sql = connect(adminUrl);
    const client = { query: ({ text, values }: Query) => query(sql, text, values) };
    const withClient = (use: (client: unknown) => unknown) => use(client);
    const withPgClient = Object.assign(withClient, { withRetries: withClient });
    const pool = `pool ${n}`;
    let turn = 0;
    return {
      async turn() {
        const jobs: Job[] = await batchGetJobs(
          options,
          withPgClient,
          { sync: () => {} },
          pool,
          null,
          batchSize,
        );
        turn++;
        const due = jobs.map(({ payload }) => payload);
        const ids = due.map(({ id }) => id);
        await sql`begin`;
        await writeBalances(sql, ids, ids.map((_, row) => balanceOf(row, turn)), turn);
        await sql`
          select count(*) from graphile_worker.add_jobs(array(
            select json_populate_record(
              null::graphile_worker.job_spec,
              json_build_object('identifier', 'sync', 'payload', t.target)
            )
            from jsonb_array_elements(${sql.json(due)}) as t (target)
          ))`;
        await batchCompleteJobs(options, withPgClient, pool, jobs);
        await sql`commit`;
        return ids.length;
      },
      close: () => sql.end(),
    };
  },
};

/** A statement of graphile-worker's own: the package exports only its entry, the files lie beside it. */
async function internal(name: string) {
  const entry = import.meta.resolve("graphile-worker");
  return await import(new URL(`sql/${name}.js`, entry).href);
}
