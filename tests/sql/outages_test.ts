import { assert, assertEquals } from "@std/assert";
import type postgres from "postgres";
import { addBalances, claim, record } from "./balances.ts";
import { onPostgres, type TestDatabase } from "./on_postgres.ts";

const down = { error: { code: "rpc_unreachable", message: "no answer", scope: "chain" } };

onPostgres("outages", {
  async "of 16 workers that meet a chain whose probe is due, one asks it"(database) {
    const owner = database.connect();
    await addBalances(owner, { rows: 100 });
    await owner`select balance_sync.deal_lanes(100)`;
    await markOut(owner, "now()");
    const claims = await byWorkers(database, 16, (sql, worker) => claim(sql, worker, 5));
    assertEquals(claims.filter(({ claimed }) => claimed > 0).length, 1);
  },

  async "a probe whose worker was killed is taken over when its lease ends"(database) {
    const owner = database.connect();
    await addBalances(owner, { rows: 10 });
    await markOut(owner, "now()");
    assertEquals((await claim(owner, "killed", 5)).claimed, 5);
    assertEquals((await claim(owner, "heir", 5)).claimed, 0);
    await owner`update balance_sync.chain_state set out_until = now()`;
    await owner`update wallet_balances set locked_until = now() where locked_until is not null`;
    assertEquals((await claim(owner, "heir", 5)).claimed, 5);
  },

  async "workers that meet the same outage at once make one outage of it"(database) {
    const owner = database.connect();
    await addBalances(owner, { rows: 400 });
    const claims = await byWorkers(database, 8, (sql, worker) => claim(sql, worker, 50));
    assertEquals(claims.map(({ claimed }) => claimed), Array(8).fill(50));
    await byWorkers(database, 8, (sql, worker) => record(sql, claims[numberOf(worker)]!, down));
    const [state] = await owner`
      select outages, out_until between now() + interval '20 seconds' and now() + interval '38 seconds' as short
      from balance_sync.chain_state`;
    assertEquals(state, { outages: 1, short: true });
    const [rows] = await owner`
      select sum(error_count + consecutive_errors)::integer as errors from wallet_balances`;
    assertEquals(rows, { errors: 0 });
  },

  async "a late success of a worker that began before ends the outage"(database) {
    const owner = database.connect();
    await addBalances(owner, { rows: 20 });
    const [early, late] = [await claim(owner, "early", 10), await claim(owner, "late", 10)];
    await record(owner, early, down);
    await record(owner, late);
    const [state] = await owner`select out_since, outages from balance_sync.chain_state`;
    assertEquals(state, { out_since: null, outages: 0 });
  },

  async "a chain that is down with nine rows of ten is asked by one batch at a time while the other drains"(
    database,
  ) {
    const owner = database.connect();
    await addBalances(owner, { rows: 1_000, chains: 2 });
    await owner`
      insert into user_wallet_addresses (wallet_id, chain_id, address)
      select md5('more' || n)::uuid, md5('chain1')::uuid, '0xmore' || n from generate_series(1, 8000) as n`;
    await owner`
      insert into wallet_balances (wallet_id, asset_on_chain_id)
      select md5('more' || n)::uuid, md5('asset on chain1')::uuid from generate_series(1, 8000) as n`;
    let refused = 0;
    let recorded = 0;
    await byWorkers(database, 4, async (sql, worker) => {
      for (;;) {
        const claimed = await claim(sql, worker, 100);
        if (claimed.claim_id === null) break;
        const results = claimed.chains.flatMap(({ name, balances }) =>
          balances.map(({ id }) =>
            name === "chain_1" ? { id, ...down } : { id, raw: "1", block: "1" }
          )
        );
        if (claimed.chains.some(({ name }) => name === "chain_1")) refused++;
        const [row] = await sql`
          select record_wallet_balances(${claimed.claim_id}, ${sql.json(results)}) as answer`;
        recorded += row!.answer.recorded;
      }
    });
    assertEquals(recorded, 1_000, "every row of the chain that answers");
    assert(refused <= 4, `each worker asked the chain that is down once at most, found ${refused}`);
  },
});

async function markOut(sql: postgres.Sql, until: string): Promise<void> {
  await sql.unsafe(`
    insert into balance_sync.chain_state (chain_id, out_since, out_until, outages)
    select id, now() - interval '1 hour', ${until}, 1 from chains
  `);
}

function byWorkers<T>(
  database: TestDatabase,
  count: number,
  work: (sql: postgres.Sql, worker: string) => Promise<T>,
): Promise<T[]> {
  return Promise.all(
    Array.from({ length: count }, (_, n) => work(database.connect("service"), `worker ${n}`)),
  );
}

function numberOf(worker: string): number {
  return Number(worker.split(" ")[1]);
}
