import { assertEquals } from "@std/assert";
import type postgres from "postgres";
import { applyMigrations } from "../../local/migrations.ts";
import { onPostgres } from "./on_postgres.ts";

onPostgres("uninstall() on a server", {
  async "leaves an adopted database as it was before the migrations"({ connect }) {
    const sql = connect();
    await sql.unsafe(tablesOfTheUser).simple();
    const before = await catalogue(sql);

    await migrate(sql);
    assertEquals(
      difference(await catalogue(sql), before).length > 20,
      true,
      "the list sees what is ours",
    );
    await addBalance(sql);
    await sql`select balance_sync.schedule()`;
    await sync(sql, "1500");
    await sql`select balance_sync.uninstall()`;

    const after = await catalogue(sql);
    assertEquals(difference(after, before), [], "left behind");
    assertEquals(difference(before, after), [], "taken away");
    assertEquals(await balances(sql), [{ on_chain_balance_raw: "1500", sync_count: 1 }]);
  },

  async "leaves the tables that the migrations made, and they can be adopted and left again"(
    { connect },
  ) {
    const sql = connect();
    await migrate(sql);
    await addBalance(sql);
    await sync(sql, "1500");
    await sql`select balance_sync.uninstall()`;
    assertEquals(await balances(sql), [{ on_chain_balance_raw: "1500", sync_count: 1 }]);

    await migrate(sql);
    await sync(sql, "1600");
    assertEquals(await balances(sql), [{ on_chain_balance_raw: "1600", sync_count: 2 }]);
    assertEquals([...await sql`select old_raw, new_raw from balance_sync.balance_changes`], [
      { old_raw: "1500", new_raw: "1600" },
    ]);
    await sql`select balance_sync.uninstall()`;
  },

  async "forgets the migrations, so that they are pushed anew"({ connect }) {
    const sql = connect();
    await sql`create schema supabase_migrations`;
    await sql`
      create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)`;
    await migrate(sql);
    await sql`
      insert into supabase_migrations.schema_migrations values
        ('20251231000000', array['create table of_the_user ()'], 'before'),
        ('20260101000100', array['create schema if not exists balance_sync', 'create role'], 'tables'),
        ('20260101000850', array['create function balance_sync.uninstall()'], 'uninstall'),
        ('20260101000500', array['create table of_the_user_too ()'], 'the same second'),
        ('20260201000000', array['select balance_sync.schedule()'], 'after')`;
    await sql`select balance_sync.uninstall()`;
    const left = await sql`select name from supabase_migrations.schema_migrations order by version`;
    assertEquals(left.map(({ name }) => name), ["before", "the same second", "after"]);
  },

  async "keeps the role while another database of the server has grants to it"({ connect }) {
    const [sql, admin] = [connect(), connect("admin")];
    await migrate(sql);
    await admin`create database another`;
    await admin`grant connect on database another to balance_sync_worker`;
    const roles = () => sql`select rolname from pg_roles where rolname = 'balance_sync_worker'`;
    await sql`select balance_sync.uninstall()`;
    assertEquals((await roles()).length, 1);

    await admin`drop database another`;
    await migrate(sql);
    await sql`select balance_sync.uninstall()`;
    assertEquals((await roles()).length, 0);
  },
}, { migrate: false });

const migrate = (sql: postgres.Sql) => applyMigrations((text) => sql.unsafe(text).simple());

/** A schema of the kind the seeds describe, with a policy, an index and a view of the user's own. */
const tablesOfTheUser = `
  create table chains (id uuid primary key default gen_random_uuid(), name text, rpc_url text, is_active boolean default true);
  create table assets (id uuid primary key default gen_random_uuid());
  create table asset_on_chain (
    id uuid primary key default gen_random_uuid(), chain_id uuid references chains (id), asset_id uuid,
    contract_address text, decimals integer, is_native boolean default false, is_active boolean default true
  );
  create table user_wallet_addresses (
    id uuid primary key default gen_random_uuid(), wallet_id uuid, chain_id uuid references chains (id),
    address text, is_active boolean default true
  );
  create index by_wallet on user_wallet_addresses (wallet_id);
  create table wallet_balances (
    id uuid primary key, wallet_id uuid not null, asset_on_chain_id uuid not null references asset_on_chain (id),
    on_chain_balance_raw text, on_chain_balance_human numeric,
    processing_status text default 'idle', locked_until timestamptz, locked_by text,
    last_checked timestamptz, last_processed_at timestamptz, last_error text, last_error_at timestamptz,
    sync_count integer default 0, error_count integer default 0,
    created_at timestamptz default now(), updated_at timestamptz default now()
  );
  alter table wallet_balances enable row level security;
  create policy everybody_reads on wallet_balances for select to authenticated using (true);
  create view rich as select wallet_id from wallet_balances where on_chain_balance_human > 1000000;
  comment on table wallet_balances is 'of the user';
`;

async function addBalance(sql: postgres.Sql): Promise<void> {
  await sql`insert into chains (id, name) values (${id(1)}, 'bsc')`;
  await sql`insert into assets (id) values (${id(2)})`;
  await sql`
    insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals)
    values (${id(3)}, ${id(1)}, ${id(2)}, true, 18)`;
  await sql`
    insert into user_wallet_addresses (wallet_id, chain_id, address)
    values (${id(4)}, ${id(1)}, '0x00000000000000000000000000000000000000a1')`;
  await sql`
    insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    values (${id(5)}, ${id(4)}, ${id(3)})`;
}

const id = (n: number) => `00000000-0000-0000-0000-00000000000${n}`;

async function sync(sql: postgres.Sql, raw: string): Promise<void> {
  const [row] = await sql`select claim_wallet_balances('w') ->> 'claim_id' as claim`;
  await sql`
    select record_wallet_balances(${row!.claim}, ${sql.json([{ id: id(5), raw, block: raw }])})`;
}

async function balances(sql: postgres.Sql): Promise<unknown[]> {
  return [...await sql`select on_chain_balance_raw, sync_count from wallet_balances`];
}

const difference = (some: string[], others: string[]) =>
  some.filter((line) => !others.includes(line));

/** Everything the catalogue knows of this database and of roles and jobs, a line each. */
async function catalogue(sql: postgres.Sql): Promise<string[]> {
  const lines = await sql`
    with object as (
      select classid, objid, 0 as objsubid from (
        select 'pg_class'::regclass as classid, oid as objid from pg_class
        union all select 'pg_proc'::regclass, oid from pg_proc
        union all select 'pg_type'::regclass, oid from pg_type
        union all select 'pg_constraint'::regclass, oid from pg_constraint
        union all select 'pg_trigger'::regclass, oid from pg_trigger
        union all select 'pg_policy'::regclass, oid from pg_policy
        union all select 'pg_namespace'::regclass, oid from pg_namespace
        union all select 'pg_authid'::regclass, oid from pg_roles
        union all select 'pg_event_trigger'::regclass, oid from pg_event_trigger
      ) as o
      union all
      select 'pg_class'::regclass, attrelid, attnum from pg_attribute where attnum > 0 and not attisdropped
    ),
    acl as (
      select 'pg_class'::regclass as classid, oid as objid, 0 as objsubid, relacl as acl from pg_class
      union all select 'pg_class'::regclass, attrelid, attnum, attacl from pg_attribute
      union all select 'pg_proc'::regclass, oid, 0, proacl from pg_proc
      union all select 'pg_namespace'::regclass, oid, 0, nspacl from pg_namespace
      union all select 'pg_default_acl'::regclass, oid, 0, defaclacl from pg_default_acl
    )
    select pg_describe_object(classid, objid, objsubid) as line
    from object
    union all
    select concat_ws(' ', pg_describe_object(acl.classid, acl.objid, acl.objsubid), 'is granted', a.*)
    from acl cross join lateral aclexplode(acl.acl) as a
    union all
    select concat_ws(' ', pg_describe_object(d.classoid, d.objoid, d.objsubid), 'says', d.description)
    from pg_description as d
    union all
    select concat_ws(' ', 'role', m.roleid::regrole, 'has', m.member::regrole) from pg_auth_members as m
    union all
    select concat_ws(' ', 'table', c.oid::regclass, c.relrowsecurity, c.reloptions) from pg_class as c
    union all
    select concat_ws(' ', 'job', j.jobname) from cron.job as j
    union all
    select concat_ws(' ', 'secret', s.name) from vault.secrets as s`;
  // storage of large values, named by number
  return lines.map(({ line }) => line as string).filter((line) => !/toast/.test(line)).sort();
}
