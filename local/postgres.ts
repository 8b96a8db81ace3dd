/** A throwaway PostgreSQL shaped as a hosted Supabase project, for tests and benchmarks. */
import postgres from "postgres";
import { applyMigrations, readStandIns } from "./migrations.ts";
import { findPostgres, type PostgresBinaries } from "./postgres_binaries.ts";
import { startCluster } from "./postgres_cluster.ts";

export { findPostgres, type PostgresBinaries };

export interface Database {
  /** As `postgres`, who owns the database and is no superuser: what migrations run as. */
  url: string;
  /** As `service_role`, the way the Data API gets there: logged in as the authenticator. */
  serviceUrl: string;
  /** As `supabase_admin`, the superuser. */
  adminUrl: string;
}

/** Its own `url`, `serviceUrl` and `adminUrl` are those of the database the others are copies of. */
export interface PostgresServer extends Database, AsyncDisposable {
  major: number;
  /** A fresh database with the migrations applied, in about 100 ms. */
  createDatabase(): Promise<Database>;
}

export interface PostgresOptions {
  /** Default: what {@link findPostgres} finds. */
  binaries?: PostgresBinaries;
  /** Server settings beside or instead of the test defaults. */
  settings?: Record<string, string>;
  /** With the real pg_cron; Debian has it in postgresql-15-cron. */
  cron?: boolean;
  /** False leaves out the migrations. */
  migrate?: boolean;
}

const DATABASE = "postgres";

/** Durability is worth nothing to data that is thrown away: no test here crashes the machine. */
const TEST_SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  // if we are killed, the server's own end must not wait for the statements we left running
  client_connection_check_interval: "1s",
};

const CRON_SETTINGS = {
  shared_preload_libraries: "pg_cron",
  "cron.database_name": DATABASE,
  // jobs without a connection of their own need no password
  "cron.use_background_workers": "on",
};

/** Starts a server; disposing ends it and leaves nothing behind. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const { binaries = await findPostgres(), cron = false, migrate = true } = options;
  if ("missing" in binaries) throw new Error(`Cannot start PostgreSQL: ${binaries.missing}`);

  const password = crypto.randomUUID();
  const cluster = await startCluster({
    bin: binaries.bin,
    superuser: "supabase_admin",
    password,
    settings: { ...TEST_SETTINGS, ...(cron ? CRON_SETTINGS : {}), ...options.settings },
  });
  const url = (user: string, database: string) =>
    `postgres://${user}:${password}@127.0.0.1:${cluster.port}/${database}`;
  const named = (database: string): Database => ({
    url: url("postgres", database),
    serviceUrl: `${url("authenticator", database)}?role=service_role`,
    adminUrl: url("supabase_admin", database),
  });

  const original = named(DATABASE);
  try {
    await shapeAsHosted(original, password, cron);
    if (migrate) {
      await withConnection(
        original.url,
        (sql) => applyMigrations((text) => sql.unsafe(text).simple()),
      );
    }
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }

  let copies = 0;
  // only one copy at a time may be made of a database
  let copied: Promise<unknown> = Promise.resolve();
  return {
    ...original,
    major: binaries.major,
    async createDatabase() {
      const name = `copy_${++copies}`;
      copied = copied.then(() =>
        withConnection(
          url("supabase_admin", "template1"),
          (sql) =>
            sql.unsafe(
              `create database ${name} template ${DATABASE} owner postgres strategy file_copy`,
            ),
        )
      );
      await copied;
      return named(name);
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

async function withConnection<T>(
  url: string,
  use: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await use(sql);
  } finally {
    await sql.end();
  }
}

async function shapeAsHosted(
  { adminUrl }: Database,
  password: string,
  cron: boolean,
): Promise<void> {
  const standIns = await readStandIns();
  await withConnection(adminUrl, async (sql) => {
    if (cron) await sql`create extension pg_cron`;
    await sql.unsafe(standIns).simple();
    await sql.unsafe(`
      alter role postgres password '${password}';
      alter role authenticator password '${password}';
      alter role postgres set search_path = "$user", public, extensions;
      alter database ${DATABASE} owner to postgres;

      -- as in projects made before 30 May 2026, where whatever is new in public is open to the API
      -- roles by name: there a revoke from PUBLIC alone closes nothing
      alter default privileges for role postgres in schema public
        grant all on tables to anon, authenticated, service_role;
      alter default privileges for role postgres in schema public
        grant all on functions to anon, authenticated, service_role;
      alter default privileges for role postgres in schema public
        grant all on sequences to anon, authenticated, service_role;
    `).simple();
    if (cron) {
      await sql.unsafe(`
        grant usage on schema cron to postgres with grant option;
        grant all on all functions in schema cron to postgres with grant option;
        grant all on cron.job_run_details to postgres with grant option;
      `).simple();
    }
  });
}
