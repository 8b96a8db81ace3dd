/** The SQL of this project, read from the repository whatever the working directory. */

const migrationsFolder = new URL("../supabase/migrations/", import.meta.url);

/** Every migration, in the order in which the Supabase CLI applies them: by file name. */
export async function readMigrations(): Promise<{ name: string; sql: string }[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(migrationsFolder)) {
    if (entry.isFile && entry.name.endsWith(".sql")) names.push(entry.name);
  }
  return await Promise.all(
    names.sort().map(async (name) => ({
      name,
      sql: await Deno.readTextFile(new URL(name, migrationsFolder)),
    })),
  );
}

/** Applies every migration, one call of `exec` a file; an error names the file it came from. */
export async function applyMigrations(exec: (sql: string) => Promise<unknown>): Promise<void> {
  for (const { name, sql } of await readMigrations()) {
    try {
      await exec(sql);
    } catch (cause) {
      const found = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Cannot apply migration "${name}": ${found}`, { cause });
    }
  }
}

/** The roles and schemas that a hosted project has and a bare Postgres lacks. */
export function readStandIns(): Promise<string> {
  return Deno.readTextFile(new URL("stand_ins.sql", import.meta.url));
}
