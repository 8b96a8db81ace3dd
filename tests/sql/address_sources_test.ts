import { assert, assertEquals } from "@std/assert";
import type postgres from "postgres";
import { applyMigrations } from "../../local/migrations.ts";
import { onPostgres } from "./on_postgres.ts";

onPostgres("the address source that the migrations detect", {
  async "an empty database: the default"({ connect }) {
    assertEquals(await detect(connect(), ""), "user_wallet_addresses");
  },

  async "without rows, a foreign key tells"({ connect }) {
    const wallets = `
      create table wallets (id uuid primary key, address text);
      create table asset_on_chain (${assetColumns});
      create table wallet_balances (${balanceColumns}, foreign key (wallet_id) references wallets (id));
    `;
    assertEquals(await detect(connect(), wallets), "wallets");
  },

  async "without rows or keys, a table that somebody made beats one of ours"({ connect }) {
    const sql = connect();
    const wallets = "create table wallets (id uuid primary key, address text);";
    assertEquals(await detect(sql, wallets), "wallets");
  },

  async "of two tables that somebody made, the default"({ connect }) {
    const both = `
      create table wallets (id uuid primary key, address text);
      create table user_wallet_addresses (wallet_id uuid, chain_id uuid, address text, is_active boolean);
    `;
    assertEquals(await detect(connect(), both), "user_wallet_addresses");
  },

  async "of two tables without rows to match, the one that has addresses"({ connect }) {
    const both = `
      create table wallets (id uuid primary key, address text);
      create table user_wallet_addresses (wallet_id uuid, chain_id uuid, address text, is_active boolean);
      insert into wallets values (gen_random_uuid(), '0xa1');
    `;
    assertEquals(await detect(connect(), both), "wallets");
  },

  async "a table of wallets without addresses is none"({ connect }) {
    const wallets = "create table wallets (id uuid primary key, owner uuid);";
    assertEquals(await detect(connect(), wallets), "user_wallet_addresses");
  },

  async "with rows, the source that resolves most of them, in any part of the table"(
    { connect },
  ) {
    const sql = connect();
    const rows = `
      create table wallets (id uuid primary key, address text);
      create table asset_on_chain (${assetColumns});
      create table user_wallet_addresses (
        id uuid primary key default gen_random_uuid(), wallet_id uuid, chain_id uuid, address text, is_active boolean
      );
      create table wallet_balances (${balanceColumns}, address text);
      insert into asset_on_chain (id, chain_id) values ('${chain}', '${chain}');
      create table made as select g, gen_random_uuid() as wallet_id from generate_series(1, 30000) as g;
      -- the first thousand of them are in every table, the next in one of them alone, the last in none
      insert into wallets select wallet_id, '0xa1' from made where g <= 1000;
      insert into user_wallet_addresses (wallet_id, chain_id, address, is_active)
        select wallet_id, '${chain}', '0xa1', true from made where g <= 20000;
      insert into user_wallet_addresses (id, chain_id, address, is_active)
        select wallet_id, '${chain}', '0xa1', true from made where g <= 1000;
      insert into wallet_balances (id, wallet_id, asset_on_chain_id, address)
        select gen_random_uuid(), wallet_id, '${chain}', case when g <= 1000 then '0xa1' end from made;
      create table chains (id uuid primary key, name text, rpc_url text, is_active boolean);
      insert into chains values ('${chain}', 'bsc');
    `;
    assertEquals(await detect(sql, rows), "user_wallet_addresses");
    await sql`insert into wallets select wallet_id, '0xa1' from made on conflict do nothing`;
    assertEquals(await detected(sql), "wallets");
    await sql`delete from wallets where id in (select wallet_id from made where g > 20000)`;
    assertEquals(await detected(sql), "user_wallet_addresses", "the first among equals");
  },
}, { migrate: false });

onPostgres("an address that changes while rows are claimed", {
  async "is not missed by a claim that parks its row just then"({ connect }) {
    const [owner, user, worker] = [connect(), connect(), connect("service")];
    await owner.unsafe(oneRow).simple();
    // the address is there but not committed: the claim sees none, and must not park for ever
    await user.begin(async (user) => {
      await user`
        insert into user_wallet_addresses (wallet_id, chain_id, address) values (${wallet}, ${chain}, '0xa1')`;
      const [row] = await worker`select claim_wallet_balances('w') as claim`;
      assertEquals(row!.claim.claimed, 0);
    });
    const [row] = await owner`select next_sync_at is not null as waits from wallet_balances`;
    assertEquals(row!.waits, true);
    await owner`update wallet_balances set next_sync_at = now()`;
    const [claim] = await worker`select claim_wallet_balances('w') as claim`;
    assertEquals(claim!.claim.chains[0].balances[0].address, "0xa1");
  },

  async "takes the balance of the old one from a worker that is reading it"({ connect }) {
    const [owner, worker] = [connect(), connect("service")];
    await owner.unsafe(oneRow).simple();
    await owner`
      insert into user_wallet_addresses (wallet_id, chain_id, address) values (${wallet}, ${chain}, '0xa1')`;
    const changes: [string, () => Promise<unknown>][] = [
      ["a corrected address", () => owner`update user_wallet_addresses set address = '0xb2'`],
      ["another source", async () => {
        await owner`alter table wallet_balances add column address text`;
        await owner`update wallet_balances set address = '0xc3'`;
        await owner`select balance_sync.use_address_source('wallet_balances')`;
      }],
      ["a corrected address there", () => owner`update wallet_balances set address = '0xd4'`],
    ];
    for (const [name, change] of changes) {
      const [row] = await worker`select claim_wallet_balances('w') as claim`;
      await change();
      const [recorded] = await worker`
        select record_wallet_balances(
          ${row!.claim.claim_id}, ${worker.json([{ id: wallet, raw: "5", block: "1" }])}
        ) as answer`;
      assertEquals(recorded!.answer.lost, [wallet], name);
    }
    const [row] = await worker`select claim_wallet_balances('w') as claim`;
    assertEquals(row!.claim.chains[0].balances[0].address, "0xd4");
  },

  async "never waits in a circle with a worker that records"({ connect }) {
    const [owner, worker] = [connect(), connect("service")];
    await owner.unsafe(oneRow).simple();
    await owner.unsafe(`
      insert into wallet_balances (id, wallet_id, asset_on_chain_id)
        select gen_random_uuid(), gen_random_uuid(), '${chain}' from generate_series(1, 300);
      insert into user_wallet_addresses (wallet_id, chain_id, address)
        select wallet_id, '${chain}', '0xa1' from wallet_balances order by random();
    `).simple();
    let isOver = false;
    const changing = (async () => {
      for (let i = 0; !isOver; i++) {
        await owner`update user_wallet_addresses set address = ${`0x${i}`}`;
      }
    })();
    let recorded = 0;
    try {
      for (let round = 0; round < 40; round++) {
        const [row] = await worker`select claim_wallet_balances('w', 300) as claim`;
        if (row!.claim.claimed === 0) continue;
        const results = row!.claim.chains[0].balances.map(({ id }: { id: string }) => ({
          id,
          raw: `${round}`,
          block: `${round}`,
        }));
        await worker`select record_wallet_balances(${row!.claim.claim_id}, ${
          worker.json(results)
        })`;
        recorded += results.length;
      }
    } finally {
      isOver = true;
      await changing;
    }
    assert(recorded > 300, `${recorded} results in 40 rounds`);
  },

  async "is told to the rows of a large import in one pass"({ connect }) {
    const [owner, worker] = [connect(), connect("service")];
    await owner.unsafe(oneRow).simple();
    await owner.unsafe(`
      create table made as select gen_random_uuid() as wallet_id from generate_series(1, 20000);
      insert into wallet_balances (id, wallet_id, asset_on_chain_id, next_sync_at)
        select wallet_id, wallet_id, '${chain}', null from made;
    `).simple();
    await owner`
      insert into user_wallet_addresses (wallet_id, chain_id, address)
      select wallet_id, ${chain}, '0xa1' from made`;
    const [parked] = await owner`
      select count(*)::integer as rows from wallet_balances where next_sync_at is null`;
    assertEquals(parked!.rows, 0);
    const [claim] = await worker`select claim_wallet_balances('w', 500) ->> 'claimed' as rows`;
    assertEquals(claim!.rows, "500");
  },
});

const chain = "00000000-0000-0000-0000-0000000000c1";
const wallet = "00000000-0000-0000-0000-0000000000d1";

const assetColumns = `
  id uuid primary key, chain_id uuid, asset_id uuid, contract_address text, decimals integer, is_native boolean, is_active boolean`;

const balanceColumns = `
  id uuid primary key, wallet_id uuid, asset_on_chain_id uuid, on_chain_balance_raw text, on_chain_balance_human numeric,
  processing_status text, locked_until timestamptz, locked_by text, last_checked timestamptz,
  last_error text, last_error_at timestamptz, sync_count integer, error_count integer`;

/** A migrated database with one balance row, whose id is its wallet's, and no address. */
const oneRow = `
  insert into chains (id, name, rpc_url) values ('${chain}', 'bsc', 'http://127.0.0.1:9');
  insert into assets (id) values ('${chain}');
  insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals)
  values ('${chain}', '${chain}', '${chain}', true, 18);
  insert into wallet_balances (id, wallet_id, asset_on_chain_id) values ('${wallet}', '${wallet}', '${chain}');
`;

/** The source in force after the migrations have met these tables. */
async function detect(sql: postgres.Sql, tables: string): Promise<string> {
  await sql.unsafe(tables).simple();
  await applyMigrations((text) => sql.unsafe(text).simple());
  const [row] = await sql`select balance_sync.address_source() as source`;
  return row!.source;
}

async function detected(sql: postgres.Sql): Promise<string> {
  const [row] = await sql`select balance_sync.detect_address_source() as source`;
  return row!.source;
}
