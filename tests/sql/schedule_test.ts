import { assertEquals, AssertionError, assertRejects, assertStringIncludes } from "@std/assert";
import type postgres from "postgres";
import { onPostgres } from "./on_postgres.ts";

onPostgres("the schedule on a server", {
  async "without pg_cron schedule() says what is missing, and unschedule() does not mind"(
    { connect },
  ) {
    const [owner, admin] = [connect(), connect("admin")];
    await admin`drop schema cron cascade`;
    const refusal = await assertRejects(
      () => owner`select balance_sync.schedule()`,
      Error,
      "Cannot schedule Balance Sync: expected the extension pg_cron, found none",
    );
    assertEquals((refusal as postgres.PostgresError).code, "55000");
    assertEquals([...await owner`select balance_sync.unschedule() as removed`], [{ removed: 0 }]);
    assertEquals([...await owner`select balance_sync.prune() as pruned`], [{ pruned: 0 }]);
  },

  async "without pg_cron, pg_net and Vault a dispatch does nothing and the status says why"(
    { connect },
  ) {
    const [owner, admin, service] = [connect(), connect("admin"), connect("service")];
    await addDueRows(owner, 10);
    await admin`drop schema cron, net, vault cascade`;
    assertEquals(await dispatch(owner), 0);

    const [row] = await service`select balance_sync_status() -> 'warnings' as warnings`;
    const warnings = row!.warnings.join("\n");
    for (const extension of ["pg_cron", "pg_net", "supabase_vault"]) {
      assertStringIncludes(warnings, `expected the extension ${extension}, found none`);
    }
  },

  async "whoever schedules, the jobs are the owner's, and there is one of each"({ connect }) {
    const [owner, admin] = [connect(), connect("admin")];
    await owner`select balance_sync.schedule()`;
    await admin`select balance_sync.schedule('10 seconds')`;
    assertEquals([...await admin`select jobname, schedule, username from cron.job order by 1`], [
      { jobname: "balance-sync", schedule: "10 seconds", username: "postgres" },
      { jobname: "balance-sync-prune", schedule: "*/10 * * * *", username: "postgres" },
    ]);
    await Promise.all(
      [owner, admin, connect()].map((sql) => sql`select balance_sync.unschedule()`),
    );
    assertEquals([...await admin`select from cron.job`], []);
  },

  async "of two dispatches at once one queues the runs, the other does not wait"({ connect }) {
    const [owner, other] = [connect(), connect()];
    await addDueRows(owner, 10);
    await keepSecrets(owner);
    await owner.begin(async (first) => {
      assertEquals(await dispatch(first), 1);
      assertEquals(await dispatch(other), 0);
    });
    assertEquals([...await owner`select count(*)::integer from balance_sync.runs`], [{ count: 1 }]);
  },

  async "a request that pg_net is just sending does not hold a dispatch up"({ connect }) {
    const [owner, worker] = [connect(), connect()];
    await addDueRows(owner, 10);
    await keepSecrets(owner);
    assertEquals(await dispatch(owner), 1);
    await owner`update balance_sync.runs set queued_at = now() - interval '121 seconds'`;
    await worker.begin(async (sending) => {
      await sending`delete from net.http_request_queue`;
      await owner`set lock_timeout = '1s'`;
      assertEquals(await dispatch(owner), 1, "the run that never started is replaced");
    });
    const ended = await owner`
      select stopped_because, error from balance_sync.runs where ended_at is not null`;
    assertEquals([...ended], [{ stopped_because: "not_started", error: "no_answer" }]);
  },

  async "a dispatch does not wait for a worker in the middle of a claim"({ connect }) {
    const [owner, service] = [connect(), connect("service")];
    await addDueRows(owner, 10);
    await keepSecrets(owner);
    await service`select claim_wallet_balances('w', 1)`;
    await service.begin(async (claiming) => {
      await claiming`select claim_wallet_balances('w', 1)`;
      await owner`set lock_timeout = '1s'`;
      assertEquals(await dispatch(owner), 0);
    });
  },

  async "a heartbeat that arrives while its run is being declared lost keeps the run alive"(
    { connect },
  ) {
    const [owner, service] = [connect(), connect("service")];
    await addDueRows(owner, 10);
    await service`select claim_wallet_balances('w', 1)`;
    await owner`update balance_sync.runs set heartbeat_at = now() - interval '121 seconds'`;
    let dispatched: Promise<number>;
    await service.begin(async (claiming) => {
      await claiming`select claim_wallet_balances('w', 1)`;
      dispatched = dispatch(owner);
      await isWaiting(connect("admin"), "%balance_sync.dispatch()%");
    });
    assertEquals(await dispatched!, 0);
    assertEquals([...await owner`select ended_at from balance_sync.runs`], [{ ended_at: null }]);
  },

  async "runs that begin while the rows of a new table are being dealt wait and find some"(
    { connect },
  ) {
    const [owner, first, second, third] = [connect(), ...[1, 2, 3].map(() => connect("service"))];
    await addDueRows(owner, 100);
    const claims = await first!.begin(async (dealing) => {
      await dealing`select claim_wallet_balances('1', 10)`;
      const others = [second!, third!].map((sql) => sql`select claim_wallet_balances('2', 10)`);
      others.map((claim) => claim.execute());
      await isWaiting(connect("admin"), "%claim_wallet_balances('2'%");
      return others;
    });
    for (const [row] of await Promise.all(claims)) {
      assertEquals(row!.claim_wallet_balances.claimed, 10);
    }
  },

  async "counting the backlog reads as many rows as it counts, in a table of any size"(
    { connect },
  ) {
    const owner = connect();
    await addDueRows(owner, 60_000);
    for (let dealt = 0; dealt < 60_000; dealt += 20_000) {
      await owner`select balance_sync.deal_lanes(20000)`;
    }
    await connect().begin(async (counting) => {
      const [found] = await counting`select balance_sync.backlog(1000) as rows`;
      assertEquals(found!.rows, 1000);
      const [reads] = await counting`
        select seq_scan::integer, idx_tup_fetch::integer as fetched
        from pg_stat_xact_user_tables where relname = 'wallet_balances'`;
      assertEquals(reads!.seq_scan, 0);
      assertEquals(reads!.fetched <= 1001, true, `fetched ${reads!.fetched} rows`);
    });
  },
});

async function addDueRows(sql: postgres.Sql, rows: number): Promise<void> {
  await sql`
    with chain as (insert into chains (name) values ('bsc') returning id),
    asset as (insert into assets (symbol) values ('BNB') returning id),
    listed as (
      insert into asset_on_chain (chain_id, asset_id, is_native, decimals)
      select chain.id, asset.id, true, 18 from chain, asset returning id, chain_id
    ),
    owned as (
      insert into user_wallet_addresses (wallet_id, chain_id, address)
      select gen_random_uuid(), chain_id, '0x' || n from listed, generate_series(1, ${rows}::integer) as n
      returning wallet_id
    )
    insert into wallet_balances (wallet_id, asset_on_chain_id)
    select owned.wallet_id, listed.id from owned, listed`;
}

async function keepSecrets(sql: postgres.Sql): Promise<void> {
  await sql`select vault.create_secret('http://127.0.0.1:9/', 'balance_sync_url')`;
  await sql`select vault.create_secret('secret', 'balance_sync_secret')`;
}

async function dispatch(sql: postgres.Sql | postgres.TransactionSql): Promise<number> {
  const [row] = await sql`select balance_sync.dispatch() as queued`;
  return row!.queued;
}

/** Until a statement waits for a lock that somebody else holds; an error when none does within 5 s. */
async function isWaiting(admin: postgres.Sql, statement: string): Promise<void> {
  const giveUp = Date.now() + 5_000;
  while (Date.now() < giveUp) {
    const waiting = await admin`
      select from pg_stat_activity
      where wait_event_type = 'Lock' and query like ${statement} and pid <> pg_backend_pid()`;
    if (waiting.length > 0) return;
  }
  throw new AssertionError(`Expected a statement like ${statement} to wait, found none`);
}
