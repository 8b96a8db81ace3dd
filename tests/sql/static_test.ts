/**
 * What can be known of the SQL without running it: plpgsql_check, and the rules of Supabase's advisor
 * that concern us, as queries of our own over every object the migrations made.
 */
import { assert, assertEquals } from "@std/assert";
import { missingExtension, onPostgres } from "./on_postgres.ts";

const ours = `('public', 'balance_sync')`;

/** Rule → the objects that break it, as a query of one column, and an offence that must be found. */
const rules: Record<string, { breaches: string; offence: string }> = {
  "0001: every foreign key has an index that leads with its columns": {
    breaches: `
    select c.conrelid::regclass || ' ' || c.conname
    from pg_constraint as c
    where c.contype = 'f'
      and c.connamespace::regnamespace::text in ${ours}
      and not exists (
        select from pg_index as i
        where i.indrelid = c.conrelid
          and i.indisvalid
          and (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] operator(pg_catalog.@>) c.conkey
      )`,
    offence:
      `create table public.offence (id integer primary key, chain_id uuid references public.chains (id))`,
  },
  "0004: every table has a primary key": {
    breaches: `
    select c.oid::regclass::text
    from pg_class as c
    where c.relkind in ('r', 'p')
      and c.relnamespace::regnamespace::text in ${ours}
      and not exists (select from pg_index as i where i.indrelid = c.oid and i.indisprimary)`,
    offence: `create table balance_sync.offence (id integer)`,
  },
  "0008: row level security never shuts everybody out by lack of a policy": {
    breaches: `
    select c.oid::regclass::text
    from pg_class as c
    where c.relkind = 'r'
      and c.relrowsecurity
      and c.relnamespace::regnamespace::text in ${ours}
      and not exists (select from pg_policy as p where p.polrelid = c.oid)`,
    offence:
      `create table public.offence (id integer primary key); alter table public.offence enable row level security`,
  },
  "0011: every function has a search_path of its own": {
    breaches: `
    select p.oid::regprocedure::text
    from pg_proc as p
    where p.pronamespace::regnamespace::text in ${ours}
      and not exists (select from unnest(p.proconfig) as s where s like 'search_path=%')`,
    offence: `create function balance_sync.offence() returns void language sql as ''`,
  },
  "and the search_path of every security definer function is empty": {
    breaches: `
    select p.oid::regprocedure::text
    from pg_proc as p
    where p.pronamespace::regnamespace::text in ${ours}
      and p.prosecdef
      and not exists (select from unnest(p.proconfig) as s where s = 'search_path=""')`,
    offence:
      `create function public.offence() returns void security definer set search_path = public language sql as ''`,
  },
  "0013: every table of the exposed schema has row level security": {
    breaches: `
    select c.oid::regclass::text
    from pg_class as c
    where c.relkind in ('r', 'p')
      and c.relnamespace = 'public'::regnamespace
      and not c.relrowsecurity`,
    offence: `create table public.offence (id integer primary key)`,
  },
  "0024: no policy lets the API's roles write whatever they like": {
    breaches: `
    select p.polrelid::regclass || ' ' || p.polname
    from pg_policy as p
    join pg_class as c on c.oid = p.polrelid
    where c.relnamespace::regnamespace::text in ${ours}
      and p.polpermissive
      and p.polcmd <> 'r'
      and (p.polroles = '{0}' or p.polroles && array['anon'::regrole, 'authenticated'::regrole]::oid[])
      and (
        coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') = 'true'
        or coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
      )`,
    offence: `create policy offence on public.chains for update using (true)`,
  },
  "0026, 0027: neither anon nor authenticated sees a table, view or materialized view": {
    breaches: `
    select c.oid::regclass || ' ' || r.name
    from pg_class as c
    cross join unnest(array['anon', 'authenticated']) as r (name)
    where c.relkind in ('r', 'p', 'v', 'm')
      and c.relnamespace::regnamespace::text in ${ours}
      and has_table_privilege(r.name, c.oid, 'select')`,
    offence: `create table public.offence (id integer primary key)`,
  },
  "0028, 0029: neither anon nor authenticated may execute a security definer function": {
    breaches: `
    select p.oid::regprocedure || ' ' || r.name
    from pg_proc as p
    cross join unnest(array['anon', 'authenticated']) as r (name)
    where p.prosecdef
      and p.pronamespace::regnamespace::text in ${ours}
      and has_function_privilege(r.name, p.oid, 'execute')`,
    offence:
      `create function public.offence() returns void security definer set search_path = '' language sql as ''`,
  },
  "no view reads as its owner what its reader may not (0010)": {
    breaches: `
    select c.oid::regclass::text
    from pg_class as c
    where c.relkind = 'v'
      and c.relnamespace = 'public'::regnamespace
      and not coalesce(c.reloptions @> '{security_invoker=true}' or c.reloptions @> '{security_invoker=on}', false)`,
    offence: `create view public.offence as select 1`,
  },
};

/** What the check cannot know, and what the contract asks for. */
const excused = `
  detail is not distinct from 'cannot to determine result of dynamic SQL'
  or message = 'name of parameter "only" is reserved keyword'`;

onPostgres("plpgsql_check", {
  async "finds nothing in any function"(database) {
    const sql = database.connect("admin");
    await sql`create extension plpgsql_check`;
    const checked = await sql.unsafe(`
      with functions as materialized (
        select p.oid, max(t.tgrelid) as relation, max(t.tgnewtable) as new_rows, max(t.tgoldtable) as old_rows
        from pg_proc as p
        left join pg_trigger as t on t.tgfoid = p.oid
        where p.pronamespace::regnamespace::text in ${ours}
          and p.prolang = (select oid from pg_language where lanname = 'plpgsql')
        group by p.oid
      )
      select
        f.oid::regprocedure::text as function,
        array(
          select concat_ws(' | ', lineno, message, detail)
          from plpgsql_check_function_tb(
            f.oid, coalesce(f.relation, 0), newtable => f.new_rows, oldtable => f.old_rows
          )
          where (${excused}) is not true
        ) as found
      from functions as f`);
    assert(checked.length > 10);
    assertEquals(checked.filter(({ found }) => found.length > 0).map((row) => ({ ...row })), []);
  },
}, { missing: await missingExtension("plpgsql_check") });

onPostgres(
  "advisor rules",
  Object.fromEntries(
    Object.entries(rules).map(([rule, { breaches, offence }]) => [
      rule,
      async (database) => {
        const sql = database.connect();
        const found = async () => (await sql.unsafe(breaches)).map((row) => Object.values(row)[0]);
        assertEquals(await found(), []);
        await sql.unsafe(offence);
        assert((await found()).length > 0, `not found: ${offence}`);
      },
    ]),
  ),
);
