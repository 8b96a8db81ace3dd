/** Rows that cannot be synced, and whoever mends the cause at the same moment. */
import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import { addBalances, claim } from "./balances.ts";
import { type Facts, onPostgres } from "./on_postgres.ts";
import { openSessions, shuffles } from "./sessions.ts";

const mendChain = "update chains set is_active = true";

/** What keeps the row from being synced, and what mends it. */
const causes: Record<string, { spoil: string; mend: string }> = {
  "an inactive chain": {
    spoil: "update chains set is_active = false",
    mend: mendChain,
  },
  "an inactive asset": {
    spoil: "update asset_on_chain set is_active = false",
    mend: "update asset_on_chain set is_active = true",
  },
  "a token without a contract": {
    spoil: "update asset_on_chain set is_native = false, contract_address = null",
    mend: "update asset_on_chain set contract_address = '0xc'",
  },
  "an inactive address": {
    spoil: "update user_wallet_addresses set is_active = false",
    mend: "update user_wallet_addresses set is_active = true",
  },
  "no address": {
    spoil: "delete from user_wallet_addresses",
    mend: `insert into user_wallet_addresses (wallet_id, chain_id, address)
      select wallet_id, md5('chain1')::uuid, '0x1' from wallet_balances`,
  },
};

const facts: Facts = {};
for (const [cause, { spoil, mend }] of Object.entries(causes)) {
  facts[`${cause} mended while the row is being parked never leaves it parked`] = async (
    database,
  ) => {
    const world = database.connect();
    await addBalances(world, { rows: 1 });
    const sessions = openSessions(database);
    const parker = ["parker begins", "parker claims", "parker ends"];
    const mender = ["mender begins", "mender mends", "mender ends"];
    for (const order of shuffles(parker, mender)) {
      await world.unsafe(spoil);
      await world`
        update wallet_balances
        set next_sync_at = now(), locked_until = null, locked_by = null, processing_status = 'idle'`;
      for (const step of order) {
        const [who, what] = step.split(" ") as [string, string];
        await sessions.turn(who, async (sql) => {
          if (what === "claims") await claim(sql, who);
          else await sql.unsafe(what === "mends" ? mend : what === "begins" ? "begin" : "commit");
        });
      }
      await sessions.settled();
      assertEquals(await isHandedOut(world), true, order.join(", "));
    }
  };
}

facts["a row mended between being met and being parked is not left parked"] = async (database) => {
  const world = database.connect();
  await addBalances(world, { rows: 1 });
  // the claim stops where it has seen that the chain is inactive and has not parked the row yet
  const gate = database.connect("admin");
  await gate.unsafe(`
    create schema at_once;
    alter function balance_sync.park(uuid[]) set schema at_once;
    create function balance_sync.park(uuid[]) returns void language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(1);
      perform at_once.park($1);
    end
    $$;
    grant usage on schema at_once to public;
  `).simple();
  const sessions = openSessions(database);
  const parker = ["parker claims", "gate opens"];
  const mender = ["mender begins", "mender mends", "mender ends"];
  for (const order of shuffles(parker, mender)) {
    await world`update chains set is_active = false`;
    await world`
      update wallet_balances
      set next_sync_at = now(), locked_until = null, locked_by = null, processing_status = 'idle'`;
    await gate`select pg_advisory_lock(1)`;
    for (const step of order) {
      const [who, what] = step.split(" ") as [string, string];
      if (who === "gate") await gate`select pg_advisory_unlock(1)`;
      else {
        await sessions.turn(who, async (sql) => {
          if (what === "claims") await claim(sql, who);
          else {await sql.unsafe(
              what === "mends" ? mendChain : what === "begins" ? "begin" : "commit",
            );}
        });
      }
    }
    await sessions.settled();
    assertEquals(await isHandedOut(world), true, order.join(", "));
  }
};

facts["rows that cannot be synced are parked once, whoever meets them first"] = async (
  database,
) => {
  const world = database.connect();
  await addBalances(world, { rows: 1_000, chains: 2 });
  await world`update chains set is_active = false where name = 'chain_1'`;
  const handedOut = await Promise.all(
    Array.from({ length: 8 }, async (_, n) => {
      const sql = database.connect("service");
      let count = 0;
      for (;;) {
        const claimed = await claim(sql, `worker ${n}`, 100);
        if (claimed.claim_id === null) return count;
        count += claimed.claimed;
      }
    }),
  );
  assertEquals(handedOut.reduce((sum, count) => sum + count), 1_000);
  const [rows] = await world`
    select count(*) filter (where next_sync_at is null)::integer as parked,
           count(*) filter (where locked_by is not null)::integer as leased
    from wallet_balances`;
  assertEquals(rows, { parked: 1_000, leased: 1_000 });
};

facts["many claims bring a mended chain back, each row once"] = async (database) => {
  const world = database.connect();
  await addBalances(world, { rows: 10_000 });
  await world`update wallet_balances set next_sync_at = null`;
  await world`update chains set is_active = false`;
  await world`update chains set is_active = true`;
  const handedOut = await Promise.all(
    Array.from({ length: 8 }, async (_, n) => {
      const sql = database.connect("service");
      let count = 0;
      for (;;) {
        const claimed = await claim(sql, `worker ${n}`, 500);
        count += claimed.claimed;
        const [left] = await sql`
          select (balance_sync_status() ->> 'unparking')::integer
            + (balance_sync_status() ->> 'due')::integer as count`;
        if (claimed.claim_id === null && left!.count === 0) return count;
      }
    }),
  );
  assertEquals(handedOut.reduce((sum, count) => sum + count), 10_000);
};

/** Whether the row comes with one of the next claims, put off or not. */
async function isHandedOut(world: postgres.Sql): Promise<boolean> {
  for (let attempt = 0; attempt < 3; attempt++) {
    await world`update wallet_balances set next_sync_at = now() where next_sync_at is not null`;
    await claim(world, "heir");
    const [row] = await world`select locked_until > now() as leased from wallet_balances`;
    if (row!.leased) return true;
  }
  return false;
}

onPostgres("parking", facts);
