/** One PostgreSQL server process over one data folder, both gone after use. */
import { join } from "node:path";
import { type Child, startChild } from "./child.ts";

export interface Cluster extends AsyncDisposable {
  port: number;
}

export interface ClusterOptions {
  /** The folder that holds `initdb` and `postgres`. */
  bin: string;
  superuser: string;
  password: string;
  settings: Record<string, string>;
}

/** Starts a server in a temporary folder on a free port of 127.0.0.1. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const owner = await unprivilegedUser();
  const folder = await Deno.makeTempDir({ prefix: "balance-sync-postgres-" });
  const data = join(folder, "data");
  try {
    if (owner) await Deno.chown(folder, owner.uid, owner.gid);
    await initialize(options, data, owner);
    const { port, stop } = await launch(options, data, owner);
    return {
      port,
      async [Symbol.asyncDispose]() {
        await stop();
        await Deno.remove(folder, { recursive: true });
      },
    };
  } catch (error) {
    await Deno.remove(folder, { recursive: true });
    throw error;
  }
}

interface User {
  uid: number;
  gid: number;
}

/** PostgreSQL refuses to run as root: then it runs as the system's `postgres`, or as `nobody`. */
async function unprivilegedUser(): Promise<User | undefined> {
  if (Deno.uid() !== 0) return undefined;
  const accounts = (await Deno.readTextFile("/etc/passwd")).split("\n").map((line) =>
    line.split(":")
  );
  for (const name of ["postgres", "nobody"]) {
    const account = accounts.find((fields) => fields[0] === name);
    if (account) return { uid: Number(account[2]), gid: Number(account[3]) };
  }
  throw new Error("Cannot start PostgreSQL: it refuses to run as root and there is no other user");
}

async function initialize(
  { bin, superuser, password }: ClusterOptions,
  data: string,
  owner: User | undefined,
): Promise<void> {
  const passwordFile = `${data}.password`;
  await Deno.writeTextFile(passwordFile, password);
  if (owner) await Deno.chown(passwordFile, owner.uid, owner.gid);
  const { success, stderr } = await new Deno.Command(join(bin, "initdb"), {
    args: [
      ...["--pgdata", data, "--username", superuser, "--pwfile", passwordFile],
      ...["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync"],
    ],
    stdout: "null",
    stderr: "piped",
    ...owner,
  }).output();
  if (!success) {
    throw new Error(`Cannot create a database cluster: ${new TextDecoder().decode(stderr).trim()}`);
  }
}

/** PostgreSQL cannot pick its own port: one that was free a moment ago is tried, up to three times. */
async function launch(
  { bin, settings }: ClusterOptions,
  data: string,
  owner: User | undefined,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const args = Object.entries({
    ...settings,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    // the line that says it is ready, but not every statement that a test makes fail
    log_min_messages: "log",
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  for (let attempt = 1;; attempt++) {
    const port = freePort();
    const child = startChild(join(bin, "postgres"), {
      args: ["-D", data, "-p", `${port}`, ...args],
      ...owner,
    });
    const { complaint, ended } = await untilReady(child);
    const stop = async () => {
      await quit(data);
      await child[Symbol.asyncDispose]();
      await ended;
    };
    if (complaint === undefined) return { port, stop };
    await stop();
    if (attempt === 3 || !/could not bind/.test(complaint)) {
      throw new Error(`Cannot start PostgreSQL: ${complaint.trim()}`);
    }
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** `complaint` is what the server said when it ended instead; `ended` is the end of its outputs. */
async function untilReady(child: Child): Promise<{ complaint?: string; ended: Promise<unknown> }> {
  const stdout = child.stdout.cancel();
  let heard = "";
  const lines = child.stderr.getReader();
  while (!heard.includes("ready to accept connections")) {
    const { value, done } = await lines.read();
    if (done) return { complaint: heard, ended: stdout };
    heard += value;
  }
  lines.releaseLock();
  // it goes on logging: read on, or it stops once the pipe is full
  const stderr = child.stderr.pipeTo(new WritableStream());
  return { ended: Promise.all([stdout, stderr]) };
}

/** An immediate shutdown: no client is waited for and nothing is written, as the data goes next. */
async function quit(data: string): Promise<void> {
  try {
    const [pid] = (await Deno.readTextFile(join(data, "postmaster.pid"))).split("\n");
    Deno.kill(Number(pid), "SIGQUIT");
  } catch {
    // it has ended by itself
  }
}
