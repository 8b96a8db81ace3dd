/**
 * Every file of supabase/tests, as `supabase test db` runs them: each in a transaction of its own that
 * is rolled back, on PGlite and on a real server that has pgTAP (Debian: postgresql-15-pgtap).
 */
import { AssertionError } from "@std/assert";
import postgres from "postgres";
import { PGlite } from "@electric-sql/pglite";
import { pgtap } from "@electric-sql/pglite-pgtap";
import { applyMigrations, readStandIns } from "../../local/migrations.ts";
import { startPostgres } from "../../local/postgres.ts";
import { missingExtension } from "./on_postgres.ts";

const folder = new URL("../../supabase/tests/", import.meta.url);

Deno.test("pgTAP on PGlite", async (test) => {
  const database = await PGlite.create({ extensions: { pgtap } });
  // its start-up leaves 99 behind, which Deno takes for a failure of the test
  Deno.exitCode = 0;
  try {
    await database.exec(await readStandIns());
    await applyMigrations((sql) => database.exec(sql));
    await database.exec(`
      create extension pgtap with schema extensions;
      set search_path = "$user", public, extensions;
    `);
    await runFiles(
      test,
      async (text) => tapLines((await database.exec(text)).map((result) => result.rows)),
    );
  } finally {
    await database.close();
  }
});

const missing = await missingExtension("pgtap");
Deno.test({
  name: missing ? `pgTAP on PostgreSQL (${missing})` : "pgTAP on PostgreSQL",
  ignore: missing !== undefined,
  fn: async (test) => {
    await using server = await startPostgres();
    await query(server.adminUrl, "create extension pgtap with schema extensions");
    await runFiles(test, async (text) => tapLines(await query(server.url, text)));
  },
});

async function query(url: string, text: string): Promise<postgres.RowList<postgres.Row[]>> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await sql.unsafe(text).simple();
  } finally {
    await sql.end();
  }
}

/** One step a file; `run` answers the TAP lines that the file printed. */
async function runFiles(
  test: Deno.TestContext,
  run: (text: string) => Promise<string[]>,
): Promise<void> {
  for (const file of await testFiles()) {
    await test.step({
      name: file,
      // what the server prints meanwhile is read outside the step
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => judge(await run(await Deno.readTextFile(new URL(file, folder)))),
    });
  }
}

async function testFiles(): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory) continue;
    for await (const file of Deno.readDir(new URL(`${name}/`, folder))) {
      if (file.name.endsWith(".test.sql")) files.push(`${name}/${file.name}`);
    }
  }
  return files.sort();
}

/** pgTAP's functions answer text, one or more lines a row; every other column is not TAP. */
function tapLines(results: unknown): string[] {
  return (results as unknown[]).flat()
    .flatMap((row) => Object.values(row as Record<string, unknown>))
    .filter((value) => typeof value === "string")
    .flatMap((value) => value.split("\n"));
}

/** Judges as pg_prove does: the plan is kept and every line of it is ok. */
function judge(lines: string[]): void {
  const plan = Number(lines.map((line) => /^1\.\.(\d+)/.exec(line)?.[1]).find(Boolean));
  const passed = lines.filter((line) => /^ok /.test(line)).length;
  const complaints = lines.filter((line) => /^(not ok |#)/.test(line));
  if (passed !== plan || complaints.length > 0) {
    throw new AssertionError(
      [`${passed} of ${plan || "no"} planned tests passed`, ...complaints].join("\n"),
    );
  }
}
