/** The server of the claim benchmarks: PostgreSQL with its own defaults, durable, and filled once. */
import postgres from "postgres";
import { type Database, type PostgresServer, startPostgres } from "../local/postgres.ts";
import { fillWalletBalances } from "./claim_table.ts";

/** What a test server gives up for speed. */
const durable = {
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  wal_level: "replica",
  client_connection_check_interval: "0",
};

/** Every copy of the server's database has this many rows, all due, and is due again once recorded. */
export async function startBenchServer(rows: number): Promise<PostgresServer> {
  const server = await startPostgres({ settings: durable });
  await withAdmin(server, async (sql) => {
    await fillWalletBalances(sql, rows);
    await sql`update balance_sync.settings set sync_interval_seconds = 0`;
  });
  return server;
}

export async function withAdmin<T>(
  { adminUrl }: Database,
  use: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql = connect(adminUrl);
  try {
    return await use(sql);
  } finally {
    await sql.end();
  }
}

/** One connection. */
export function connect(url: string): postgres.Sql {
  return postgres(url, { max: 1, onnotice: () => {} });
}

/** A statement as node-postgres takes it, for peers whose own driver that is: arrays as text. */
export async function query(
  sql: postgres.Sql,
  text: string,
  values: unknown[] = [],
): Promise<{ rows: postgres.Row[] }> {
  const parameters = values.map((value) => Array.isArray(value) ? `{${value.join()}}` : value);
  return { rows: await sql.unsafe(text, parameters as never[], { prepare: true }) };
}
