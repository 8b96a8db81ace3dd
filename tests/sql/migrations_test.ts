/** The same files on every Postgres that they are meant for. */
import { assert, assertEquals } from "@std/assert";
import { PGlite } from "@electric-sql/pglite";
import { applyMigrations, readMigrations, readStandIns } from "../../local/migrations.ts";
import { findPostgres } from "../../local/postgres.ts";
import { addBalances, claim, record } from "./balances.ts";
import { type Facts, onPostgres } from "./on_postgres.ts";

/** Who may do what with everything of ours, default privileges or not. */
const privileges = `
  select c.oid::regclass::text as object, coalesce(g.grantee::regrole::text, 'PUBLIC') as grantee, g.privilege_type as privilege
  from pg_class as c
  cross join lateral aclexplode(c.relacl) as g
  where c.relnamespace = 'balance_sync'::regnamespace
    and g.grantee <> c.relowner
  union all
  select p.oid::regprocedure::text, g.grantee::regrole::text, g.privilege_type
  from pg_proc as p
  cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as g
  where p.pronamespace::regnamespace::text in ('public', 'balance_sync')
    and g.grantee <> p.proowner
  union all
  select c.oid::regclass::text, g.grantee::regrole::text, g.privilege_type
  from pg_class as c
  cross join lateral aclexplode(c.relacl) as g
  where c.relnamespace = 'public'::regnamespace
    and c.relkind = 'r'
    and g.grantee in ('anon'::regrole, 'authenticated'::regrole, 'balance_sync_worker'::regrole)
  order by 1, 2, 3`;

const oldDefaults = `
  alter default privileges for role postgres in schema public
    revoke all on tables from anon, authenticated, service_role;
  alter default privileges for role postgres in schema public
    revoke all on functions from anon, authenticated, service_role;
  alter default privileges for role postgres in schema public
    revoke all on sequences from anon, authenticated, service_role;`;

const facts: Facts = {
  async "as postgres, who is no superuser, and a claim works"(database) {
    const sql = database.connect();
    const [who] = await sql`
      select current_user as name, (select rolsuper from pg_roles where rolname = current_user) as super`;
    assertEquals(who, { name: "postgres", super: false });
    await applyMigrations((text) => sql.unsafe(text).simple());
    await addBalances(sql, { rows: 3, chains: 2 });
    const service = database.connect("service");
    const claimed = await claim(service, "worker");
    assertEquals(claimed.claimed, 6);
    assertEquals((await record(service, claimed)).recorded, 6);
  },

  async "give the same rights whether or not the project opens what is new to the API's roles"(
    database,
  ) {
    const sql = database.connect();
    const rights = async () => (await sql.unsafe(privileges)).map((row) => ({ ...row }));
    await sql`begin`;
    await applyMigrations((text) => sql.unsafe(text).simple());
    const open = await rights();
    await sql`rollback`;
    await sql.unsafe(oldDefaults).simple();
    await applyMigrations((text) => sql.unsafe(text).simple());
    assertEquals(await rights(), open);
    assert(open.length > 10);
  },

  async "all in one transaction, which leaves nothing when it fails at its end"(database) {
    const sql = database.connect();
    await sql`begin`;
    await applyMigrations((text) => sql.unsafe(text).simple());
    await sql`rollback`;
    const [left] = await sql`
      select to_regclass('public.wallet_balances') as relation, to_regnamespace('balance_sync') as namespace`;
    assertEquals(left, { relation: null, namespace: null });
  },
};

for (const source of ["system", "npm"] as const) {
  const binaries = await findPostgres(source);
  onPostgres(
    `migrations apply on PostgreSQL ${"major" in binaries ? binaries.major : source}`,
    facts,
    "missing" in binaries ? { missing: binaries.missing } : { binaries, migrate: false },
  );
}

Deno.test("migrations apply on PGlite", async () => {
  const database = await PGlite.create();
  // its start-up leaves 99 behind, which Deno takes for a failure of the test
  Deno.exitCode = 0;
  try {
    await database.exec(await readStandIns());
    await applyMigrations((sql) => database.exec(sql));
    const { rows } = await database.query("select claim_wallet_balances('worker') as answer");
    assertEquals(rows, [{ answer: { claim_id: null, claimed: 0, chains: [] } }]);
  } finally {
    await database.close();
  }
});

Deno.test("migrations are named so that the CLI applies them, in the order of their times", async () => {
  const names = (await readMigrations()).map(({ name }) => name);
  assert(names.length > 0);
  for (const name of names) assert(/^\d{14}_[a-z_]+\.sql$/.test(name), name);
  assertEquals(new Set(names.map((name) => name.slice(0, 14))).size, names.length);
});
