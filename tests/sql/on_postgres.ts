/** Facts about the SQL that need a real server: many connections, a postgres that is no superuser. */
import postgres from "postgres";
import {
  type Database,
  findPostgres,
  type PostgresOptions,
  startPostgres,
} from "../../local/postgres.ts";

/** A migrated database of a fact's own. */
export interface TestDatabase extends Database {
  major: number;
  /**
   * One more connection, closed when the fact has been checked: as the owner of the database
   * (`postgres`, no superuser), as the Data API calls (`service_role`), or as the superuser.
   */
  connect(as?: "owner" | "service" | "admin"): postgres.Sql;
}

export type Facts = Record<string, (database: TestDatabase) => Promise<void>>;

const found = await findPostgres();

/** One server a subject, one database a fact. Ignored, with the reason, where no server is found. */
export function onPostgres(
  subject: string,
  facts: Facts,
  options: PostgresOptions & { missing?: string | undefined } = {},
): void {
  const binaries = options.binaries ?? found;
  if ("missing" in binaries || options.missing) {
    const reason = "missing" in binaries ? binaries.missing : options.missing;
    Deno.test.ignore(`${subject} (${reason})`, () => {});
    return;
  }
  Deno.test(subject, async (test) => {
    await using server = await startPostgres({ ...options, binaries });
    for (const [name, check] of Object.entries(facts)) {
      await test.step({
        name,
        // the server's output is read all the while, so a step ends with another read than it began
        sanitizeOps: false,
        sanitizeResources: false,
        fn: async () => await withDatabase(server.major, await server.createDatabase(), check),
      });
    }
  });
}

/** Why an extension cannot be used; undefined where it can. */
export async function missingExtension(name: string): Promise<string | undefined> {
  if ("missing" in found) return found.missing;
  await using server = await startPostgres({ binaries: found, migrate: false });
  const sql = postgres(server.adminUrl, { max: 1 });
  try {
    const available = await sql`select from pg_available_extensions where name = ${name}`;
    return available.length > 0 ? undefined : `extension ${name} is not installed`;
  } finally {
    await sql.end();
  }
}

async function withDatabase(
  major: number,
  database: Database,
  check: (database: TestDatabase) => Promise<void>,
): Promise<void> {
  const connections: postgres.Sql[] = [];
  const urls = { owner: database.url, service: database.serviceUrl, admin: database.adminUrl };
  try {
    await check({
      ...database,
      major,
      connect(as = "owner") {
        const sql = postgres(urls[as], { max: 1, onnotice: () => {} });
        connections.push(sql);
        return sql;
      },
    });
  } finally {
    await Promise.all(connections.map((sql) => sql.end({ timeout: 5 })));
  }
}
