import { assert, assertEquals } from "@std/assert";
import { addBalances, type Claim, claim, idsOf, record } from "./balances.ts";
import { onPostgres } from "./on_postgres.ts";

onPostgres("leases", {
  async "16 workers over 10,000 rows never hold a row twice and miss none"(database) {
    const owner = database.connect();
    await addBalances(owner, { rows: 2_500, chains: 4 });
    const handedOut = new Set<string>();
    await inParallel(16, async (worker) => {
      const sql = database.connect("service");
      for (;;) {
        const claimed = await claim(sql, worker, 50);
        if (claimed.claim_id === null) break;
        for (const id of idsOf(claimed)) {
          assert(!handedOut.has(id), `${worker} was handed a row that somebody else was`);
          handedOut.add(id);
        }
        const answer = await record(sql, claimed);
        assertEquals(answer, {
          recorded: claimed.claimed,
          failed: 0,
          changed: claimed.claimed,
          stale: [],
          lost: [],
        });
      }
    });
    assertEquals(handedOut.size, 10_000);
    const [rows] = await owner`
      select count(*) filter (where sync_count = 1)::integer as once,
             count(*) filter (where processing_status <> 'idle' or locked_by is not null)::integer as leased
      from wallet_balances`;
    assertEquals(rows, { once: 10_000, leased: 0 });
  },

  async "16 workers that never record hold disjoint rows, and together all of them"(database) {
    await addBalances(database.connect(), { rows: 2_500, chains: 4 });
    const held: string[] = [];
    await inParallel(16, async (worker) => {
      const sql = database.connect("service");
      for (;;) {
        const claimed = await claim(sql, worker, 100);
        if (claimed.claim_id === null) break;
        held.push(...idsOf(claimed));
      }
    });
    assertEquals(held.length, 10_000);
    assertEquals(new Set(held).size, 10_000);
  },

  async "a killed worker's rows come back by themselves, and its claim in flight never was"(
    database,
  ) {
    const owner = database.connect();
    await addBalances(owner, { rows: 10 });
    const victim = database.connect("service");
    const [{ pid }] = await victim`select pg_backend_pid() as pid` as unknown as [{ pid: number }];
    assertEquals((await claim(victim, "committed", 4)).claimed, 4);
    await victim`begin`;
    assertEquals((await claim(victim, "in flight", 4)).claimed, 4);
    const admin = database.connect("admin");
    await admin`select pg_terminate_backend(${pid}, 5000)`;

    const heir = database.connect("service");
    const atOnce = await claim(heir, "heir", 10);
    assertEquals(atOnce.claimed, 6, "what was not committed is free at once");
    await owner`update wallet_balances set locked_until = now() where locked_by like 'committed:%'`;
    const later = await claim(heir, "heir", 10);
    assertEquals(later.claimed, 4, "what was leased is free when the lease ends");
    assertEquals(new Set([...idsOf(atOnce), ...idsOf(later)]).size, 10);
  },

  async "through crashes and workers that wake up too late every row is synced exactly once"(
    database,
  ) {
    const owner = database.connect();
    await addBalances(owner, { rows: 1_000, chains: 2 });
    const zombies: Claim[] = [];
    let recorded = 0;
    await inParallel(8, async (worker) => {
      const sql = database.connect("service");
      for (let turn = 0;; turn++) {
        const claimed = await claim(sql, worker, 20);
        if (claimed.claim_id === null) break;
        if (turn % 3 === 0) zombies.push(claimed);
        else {
          const answer = await record(sql, claimed);
          recorded += answer.recorded;
        }
      }
    });
    assert(zombies.length >= 8);

    await owner`update wallet_balances set locked_until = now() where locked_until is not null`;
    const sql = database.connect("service");
    for (;;) {
      const claimed = await claim(sql, "heir", 500);
      if (claimed.claim_id === null) break;
      const answer = await record(sql, claimed, { raw: "2", block: "2" });
      recorded += answer.recorded;
    }
    assertEquals(recorded, 2_000);
    for (const zombie of zombies) {
      const answer = await record(sql, zombie, { raw: "666", block: "666" });
      assertEquals({ ...answer, lost: answer.lost.length }, {
        recorded: 0,
        failed: 0,
        changed: 0,
        stale: [],
        lost: zombie.claimed,
      });
    }
    const [rows] = await owner`
      select count(*) filter (where sync_count = 1 and on_chain_balance_raw <> '666')::integer as once
      from wallet_balances`;
    assertEquals(rows, { once: 2_000 });
  },

  async "an expired lease is found by the same index path as a due row"(database) {
    const owner = database.connect();
    await addBalances(owner, { rows: 5_000 });
    await owner`select balance_sync.deal_lanes(5000)`;
    await owner`vacuum analyze`;
    const sql = database.connect("service");
    const rowsRead = async (worker: string) => {
      await sql`begin`;
      assertEquals((await claim(sql, worker, 20)).claimed, 20);
      const [read] = await sql`
        select seq_scan::integer as sequential_scans, idx_tup_fetch <= 5 * 20 as reads_few_rows
        from pg_stat_xact_user_tables
        where relname = 'wallet_balances'`;
      await sql`commit`;
      return read;
    };
    assertEquals(await rowsRead("dead"), { sequential_scans: 0, reads_few_rows: true });
    await owner`update wallet_balances set locked_until = now() where locked_until is not null`;
    assertEquals(await rowsRead("heir"), { sequential_scans: 0, reads_few_rows: true });
  },
});

async function inParallel(count: number, work: (worker: string) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, n) => work(`worker ${n}`)));
}
