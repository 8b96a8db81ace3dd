import { assertEquals, assertMatch } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { join } from "node:path";
import postgres from "postgres";
import { startEvmNode } from "../../local/evm_node.ts";
import { findPostgres, startPostgres } from "../../local/postgres.ts";
import { startStack } from "../../local/stack.ts";
import { addBacklog, countSynced, untilRuns } from "./backlog.ts";

const missing = await whyNoCron();

Deno.test({
  name: `real pg_cron${missing ? ` (${missing})` : ""}`,
  ignore: missing !== undefined,
  async fn(test) {
    await using server = await startPostgres({ cron: true });
    const notices: string[] = [];
    const sql = postgres(server.url, { max: 1, onnotice: ({ message }) => notices.push(message!) });
    const admin = postgres(server.adminUrl, { max: 1 });
    const step = (name: string, fn: () => Promise<void>) =>
      test.step({ name, sanitizeOps: false, sanitizeResources: false, fn });
    const job = async () => {
      const [row] = await sql`select schedule, active from cron.job where jobname = 'balance-sync'`;
      return row;
    };

    await step("before 1.5 has no seconds: every minute is taken, and said", async () => {
      const [row] = await sql`select balance_sync.schedule()`;
      assertEquals(row!.schedule, "* * * * *");
      assertEquals(await job(), { schedule: "* * * * *", active: true });
      assertMatch(
        notices.join("\n"),
        /^pg_cron 1\.4 knows no seconds: Balance Sync runs every minute instead of every 30 seconds$/,
      );
    });

    await step("refuses fields that are none, and the job stays as it was", async () => {
      const refusal = await sql`select balance_sync.schedule('99 * * * *')`.catch((error) => error);
      assertEquals([refusal.code, refusal.message], ["22023", "invalid schedule: 99 * * * *"]);
      assertEquals(await job(), { schedule: "* * * * *", active: true });
    });

    await step("keeps an operator's pause", async () => {
      await sql`select cron.alter_job(jobid, active := false) from cron.job where jobname = 'balance-sync'`;
      await sql`select balance_sync.schedule('*/2 * * * *')`;
      assertEquals(await job(), { schedule: "*/2 * * * *", active: false });
    });

    await step("lets go of both jobs, and of none when there are none", async () => {
      assertEquals([...await sql`select balance_sync.unschedule() as jobs`], [{ jobs: 2 }]);
      assertEquals([...await sql`select balance_sync.unschedule() as jobs`], [{ jobs: 0 }]);
      assertEquals([...await admin`select from cron.job`], []);
    });

    await step("fires, and every due balance is synced without anybody's help", async () => {
      await using node = await startEvmNode({ chainId: 56 });
      await using stack = await startStack({ databaseUrl: server.url });
      await addBacklog({ sql: stack.sql, node, rpcUrl: node.url, rows: 100 });
      await sql`update balance_sync.settings set sync_interval_seconds = 3600`;
      await sql`select balance_sync.schedule()`;
      // it fires when the minute is full: here nothing but waiting shows that it does
      const giveUp = Date.now() + 75_000;
      while ((await sql`select from balance_sync.runs`).length === 0) {
        assertEquals(Date.now() < giveUp, true, "expected pg_cron to fire within 75 s");
        await delay(200);
      }
      await untilRuns(stack.sql, "bool_and(ended_at is not null)");
      assertEquals(await countSynced(stack.sql, 1), 100);
      const ledger = await sql`
        select queued_at < started_at as was_queued, stopped_because, recorded::integer from balance_sync.runs`;
      assertEquals([...ledger], [{ was_queued: true, stopped_because: "drained", recorded: 100 }]);
      const [status] = await sql`select balance_sync_status() -> 'warnings' as warnings`;
      assertEquals(
        status!.warnings.filter((warning: string) =>
          !/expected pg_cron 1\.5 or newer/.test(warning)
        ),
        [],
      );
    });

    await step("has its records of our jobs pruned, as its owner's and no superuser", async () => {
      const [fired] = await sql`
        select status, command from cron.job_run_details where command ~ 'dispatch' order by runid limit 1`;
      assertEquals({ ...fired }, {
        status: "succeeded",
        command: "select balance_sync.dispatch()",
      });
      await admin`update cron.job_run_details set start_time = start_time - interval '8 days', end_time = end_time - interval '8 days'`;
      await sql`select balance_sync.prune()`;
      const left =
        await sql`select from cron.job_run_details where end_time < now() - interval '7 days'`;
      assertEquals(left.length, 0);
    });

    await step("is left without a trace of us by uninstall()", async () => {
      await sql`select balance_sync.uninstall()`;
      assertEquals([...await admin`select from cron.job`], []);
      assertEquals([
        ...await admin`select from cron.job_run_details where command ~ 'balance_sync'`,
      ], []);
    });

    await Promise.all([sql.end(), admin.end()]);
  },
});

/** Why the server found has no pg_cron; undefined when it has. */
async function whyNoCron(): Promise<string | undefined> {
  const binaries = await findPostgres();
  if ("missing" in binaries) return binaries.missing;
  try {
    const { stdout } = await new Deno.Command(join(binaries.bin, "pg_config"), {
      args: ["--sharedir"],
    }).output();
    const sharedir = new TextDecoder().decode(stdout).trim();
    await Deno.stat(join(sharedir, "extension", "pg_cron.control"));
    return undefined;
  } catch {
    return `PostgreSQL ${binaries.major} has no pg_cron here; Debian: postgresql-15-cron`;
  }
}
