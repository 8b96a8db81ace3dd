/**
 * The embedded project's database with its Data API, shaped as a hosted project: PGlite inside this
 * process or, where BALANCE_SYNC_DATABASE_URL says so, a real Postgres.
 */
// an optional peer of @supabase/lite: Deno installs it only for whoever names it
import "postgres";
import { App, type Connection } from "@supabase/lite";
import { createPgliteConnection } from "@supabase/lite/pglite";
import { createPostgresConnection } from "@supabase/lite/postgres";
import { applyMigrations, readStandIns } from "./migrations.ts";
import { quoteReservedArgument } from "./reserved_argument.ts";

/** Columns come as the driver reads them; numeric that has to be exact is cast to text. */
export type Sql = <T = Record<string, unknown>>(
  query: string,
  params?: unknown[],
) => Promise<T[]>;

export interface Keys {
  publishableKey: string;
  secretKey: string;
}

export interface ProjectDatabase extends AsyncDisposable {
  /** One statement as the database's owner. */
  sql: Sql;
  /** Answers requests below /rest/v1 as PostgREST would. */
  dataApi: (request: Request) => Promise<Response>;
}

interface Server {
  connection: Connection;
  sql: Sql;
  script: (text: string) => Promise<unknown>;
  /** Runs the task when the server can take it. */
  turn: <T>(task: () => Promise<T>) => Promise<T>;
}

/** Opens the database and brings what it lacks: stand-ins for the platform's parts, the migrations. */
export async function openDatabase(keys: Keys, url?: string): Promise<ProjectDatabase> {
  const { connection, sql, script, turn } = url ? openPostgres(url) : await openPglite();
  try {
    if (await lacks(sql, "to_regnamespace('vault') is null or to_regnamespace('net') is null")) {
      await script(await readStandIns());
    }
    if (await lacks(sql, "to_regclass('balance_sync.settings') is null")) {
      await applyMigrations(script);
    }
  } catch (error) {
    await connection.close();
    throw error;
  }

  // Told that it has done so already, @supabase/lite does not grant every table of a schema with
  // row level security to every role: the grants are those of the migrations, as on a hosted project.
  Object.assign(connection, { rlsState: "active" });
  connection.kysely = connection.kysely.withPlugin(quoteReservedArgument);
  const app = new App({
    connection,
    api: { schemas: ["public"], max_rows: 1000 },
    auth: { enabled: false, publishable_key: keys.publishableKey, secret_key: keys.secretKey },
  });
  return {
    sql: (query, params) => turn(() => sql(query, params)),
    dataApi: (request) => turn(() => app.fetch(request, { peerAddress: "127.0.0.1" })),
    [Symbol.asyncDispose]: () => turn(() => connection.close()),
  };
}

async function lacks(sql: Sql, condition: string): Promise<boolean> {
  const [row] = await sql<{ lacks: boolean }>(`select ${condition} as lacks`);
  return row!.lacks;
}

async function openPglite(): Promise<Server> {
  const { exitCode } = Deno;
  const connection = await createPgliteConnection();
  const { driver } = connection;
  let last: Promise<unknown> = driver.waitReady;
  return {
    connection,
    sql: async <T>(query: string, params?: unknown[]) =>
      (await driver.query<T>(query, params)).rows,
    script: (text) => driver.exec(text),
    // One connection for everybody, on which @supabase/lite begins a transaction per request without
    // asking: two requests at once would meet in one transaction, under one role.
    turn: (task) => {
      const turn = last.then(task).finally(() => {
        // Postgres in WebAssembly leaves its exit codes in this process: 99 when it has started,
        // 100 after an error
        Deno.exitCode = exitCode;
      });
      last = turn.catch(() => {});
      return turn;
    },
  };
}

function openPostgres(url: string): Server {
  const connection = createPostgresConnection({
    url,
    postgresOptions: {
      onnotice: () => {},
      types: {
        // @supabase/lite hands json arguments over as text, and its own type would encode that text again
        jsonb: { to: 3802, from: [3802], serialize: (text) => text, parse: JSON.parse },
      },
    },
  });
  const { driver } = connection;
  return {
    connection,
    sql: async <T>(query: string, params: unknown[] = []) =>
      [...await driver.unsafe(query, params as never[])] as T[],
    script: (text) => driver.unsafe(text),
    turn: (task) => task(),
  };
}
