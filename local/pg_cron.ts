/** Plays pg_cron's background worker where the extension is only stood in for. */
import type { Sql } from "./database.ts";

interface Job {
  jobid: string;
  command: string;
  seconds: number;
}

/**
 * Returns a function that runs every active job whose time has come, and notes the run. Only jobs of
 * the form 'N seconds': those with a cron expression prune by the hour or day, longer than a
 * stand-in lives. As in pg_cron a job is first due N seconds after it was seen, and never runs twice at once.
 */
export function createTicker(sql: Sql): (now: number) => Promise<void> {
  const lastRun = new Map<string, number>();
  return async (now) => {
    const jobs = await sql<Job>(`
      select jobid::text, command, split_part(schedule, ' ', 1)::integer as seconds
      from cron.job
      where active and schedule ~ '^[0-9]+ seconds?$'
    `);
    for (const { jobid, command, seconds } of jobs) {
      const last = lastRun.get(jobid) ?? lastRun.set(jobid, now).get(jobid)!;
      if (now - last < seconds * 1000) continue;
      lastRun.set(jobid, now);
      await run(sql, jobid, command);
    }
  };
}

async function run(sql: Sql, jobid: string, command: string): Promise<void> {
  const [detail] = await sql<{ runid: string }>(
    `insert into cron.job_run_details (jobid, database, username, command, status, start_time)
     select jobid, database, username, command, 'running', clock_timestamp()
     from cron.job
     where jobid = $1::text::bigint
     returning runid::text`,
    [jobid],
  );
  if (!detail) return;
  let outcome = ["succeeded", "1 row"];
  try {
    await sql(command);
  } catch (error) {
    outcome = ["failed", error instanceof Error ? error.message : String(error)];
  }
  await sql(
    `update cron.job_run_details
     set status = $2, return_message = $3, end_time = clock_timestamp()
     where runid = $1::text::bigint`,
    [detail.runid, ...outcome],
  );
}
