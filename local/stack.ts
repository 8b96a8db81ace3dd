/**
 * The embedded stack: a whole Supabase project, as far as Balance Sync needs one, behind one address.
 * Postgres, Data API and front door are in this process; the function has its own, as on the platform.
 */
import { type Keys, openDatabase, type Sql } from "./database.ts";
import { startFunction } from "./function_server.ts";
import { startWorkers } from "./workers.ts";

/** Known to everybody, as those of `supabase start` are: the stack listens on the loopback interface only. */
export const LOCAL_KEYS = {
  publishableKey: "sb_publishable_balance_sync_local",
  secretKey: "sb_secret_balance_sync_local",
  syncSecret: "balance-sync-local-secret",
};

export interface Stack extends AsyncDisposable, Keys {
  /** As SUPABASE_URL: below it are /rest/v1 and /functions/v1/balance-sync. */
  url: string;
  /** Where the function answers. */
  functionUrl: string;
  syncSecret: string;
  /** One statement as the database's owner. */
  sql: Sql;
}

export interface StackOptions {
  /** Default: a free one. */
  port?: number;
  /** A database to use instead of PGlite; default BALANCE_SYNC_DATABASE_URL. */
  databaseUrl?: string;
  /** Beside what the platform gives, for the function. */
  env?: Record<string, string>;
  /** What the function writes, line by line. */
  onLog?: (line: string) => void;
  /** How many processes of the function there are; requests go to them in turn. Default 1. */
  functions?: number;
  /** What they run instead of the function's index.ts. */
  entrypoint?: URL;
}

/** Starts the stack, migrated and empty; disposing ends every process of it. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const databaseUrl = options.databaseUrl ?? Deno.env.get("BALANCE_SYNC_DATABASE_URL");
  await using parts = new AsyncDisposableStack();
  let served = 0;

  // The front door opens first, for the function is told its address; whoever knocks early waits.
  const door = Deno.serve(
    { hostname: "127.0.0.1", port: options.port ?? 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname.startsWith("/rest/v1/")) return (await opening).dataApi(request);
      if (/^\/functions\/v1\/balance-sync(\/|$)/.test(pathname)) {
        const functions = await starting;
        return await forward(request, functions[served++ % functions.length]!.url);
      }
      return Response.json({ message: "no Route matched with those values" }, { status: 404 });
    },
  );
  parts.defer(() => door.shutdown());
  const url = `http://127.0.0.1:${door.addr.port}`;
  const functionUrl = `${url}/functions/v1/balance-sync`;

  const opening = openDatabase(LOCAL_KEYS, databaseUrl);
  disposeOnceThere(parts, opening);
  const env = {
    SUPABASE_URL: url,
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: LOCAL_KEYS.publishableKey }),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: LOCAL_KEYS.secretKey }),
    BALANCE_SYNC_SECRET: LOCAL_KEYS.syncSecret,
    ...options.env,
  };
  const starting = Promise.all(
    Array.from({ length: options.functions ?? 1 }, () => {
      const one = startFunction(env, options.onLog, options.entrypoint);
      disposeOnceThere(parts, one);
      return one;
    }),
  );

  const [{ sql }] = await Promise.all([opening, starting]);
  await keepInVault(sql, functionUrl);
  parts.use(await startWorkers(sql, options.onLog));

  const running = parts.move();
  return {
    ...LOCAL_KEYS,
    url,
    functionUrl,
    sql,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** As the platform's gateway: the function sees its path without /functions/v1. */
async function forward(request: Request, to: string): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const headers = new Headers(request.headers);
  headers.set("accept-encoding", "identity");
  try {
    return await fetch(to + pathname.slice("/functions/v1".length) + search, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
    });
  } catch {
    return Response.json({ message: "An invalid response was received" }, { status: 502 });
  }
}

/** Not `use(await …)`: both are started at once, and what started is ended when the other does not. */
function disposeOnceThere(parts: AsyncDisposableStack, part: Promise<AsyncDisposable>): void {
  parts.defer(() => part.then((started) => started[Symbol.asyncDispose](), () => {}));
}

/** What dispatch() reads: where the function is, and what opens it. */
async function keepInVault(sql: Sql, functionUrl: string): Promise<void> {
  const [kept] = await sql<{ url: string }>(
    "select decrypted_secret as url from vault.decrypted_secrets where name = 'balance_sync_url'",
  );
  if (kept && !kept.url.startsWith("http://127.0.0.1:")) {
    throw new Error(
      "Cannot use this database: its Vault secret balance_sync_url belongs to another installation",
    );
  }
  for (
    const [name, secret] of [
      ["balance_sync_url", functionUrl],
      ["balance_sync_secret", LOCAL_KEYS.syncSecret],
    ]
  ) {
    await sql("delete from vault.secrets where name = $1", [name]);
    await sql("select vault.create_secret($1, $2)", [secret, name]);
  }
}
