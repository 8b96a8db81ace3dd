import { assertEquals } from "@std/assert";
import { type Config, readConfig } from "../../functions/balance-sync/config.ts";
import { createHandler } from "../../functions/balance-sync/handler.ts";
import type { RunSummary } from "../../functions/balance-sync/run_summary.ts";
import { openDatabase, type Sql } from "../../local/database.ts";
import { type EvmNode, startEvmNode } from "../../local/evm_node.ts";
import { type Proxy, startProxy } from "../chains/proxy.ts";

export const secretKey = "sb_secret_function_tests";
export const publishableKey = "sb_publishable_function_tests";
/** Of the node. */
export const chainId = 31337;
export const syncSecret = "function-tests-sync-secret";

/** What a fact about the function is tried on: a project and a chain, both real. */
export interface Bench {
  /** Empty at the beginning of each fact. */
  project: Project;
  node: EvmNode;
  /** Leads to the node, until it is told to behave otherwise. */
  proxy: Proxy;
  /** What was written to the console, line by line. */
  said: string[];
}

/** Tries facts one after the other on one bench: a database takes a second to start. */
export function onProject(
  subject: string,
  facts: Record<string, (bench: Bench) => Promise<void>>,
): void {
  Deno.test(subject, async (t) => {
    await using project = await startProject();
    await using node = await startEvmNode({ chainId });
    await using proxy = await startProxy(node.url);
    for (const [fact, test] of Object.entries(facts)) {
      await t.step(fact, async () => {
        proxy.behave();
        await project.empty();
        const { said, restore } = listen();
        try {
          await test({ project, node, proxy, said });
        } catch (error) {
          restore();
          console.error(said.join("\n"));
          throw error;
        } finally {
          restore();
        }
      });
    }
  });
}

/** Takes down what the console is told: the function logs there, and so does @supabase/lite. */
function listen(): { said: string[]; restore: () => void } {
  const said: string[] = [];
  const { debug, info, warn, error } = console;
  const write = (...told: unknown[]) => void said.push(told.map(String).join(" "));
  Object.assign(console, { debug: write, info: write, warn: write, error: write });
  return { said, restore: () => void Object.assign(console, { debug, info, warn, error }) };
}

/** A project with a real database and Data API, and the function in this process. */
export interface Project extends AsyncDisposable {
  /** As SUPABASE_URL. */
  url: string;
  sql: Sql;
  /** What the platform gives a function. */
  env: Record<string, string>;
  /** The RPCs that reached the Data API since the last `empty`, in order. */
  trips: string[];
  /** Called with each RPC; an answer it gives is sent instead of the database's. */
  intercept: (rpc: string, forward: () => Promise<Response>) => Promise<Response | undefined>;
  /** The handler of the function, with parts of its configuration changed. */
  handler(changes?: Partial<Config>, unload?: AbortSignal): Handler;
  /** Removes every row and what tests have changed. */
  empty(): Promise<void>;
  /** A chain; the id of `public.chains`. */
  addChain(name: string, rpcUrl: string, settings?: Record<string, unknown>): Promise<string>;
  /** Due balances of one asset, one per address; ids in the same order. */
  addBalances(chainId: string, addresses: string[], token?: Token): Promise<string[]>;
  /** A row of `public.wallet_balances`, as far as the function has a say in it. */
  balance(id: string): Promise<Balance>;
}

export interface Balance {
  on_chain_balance_raw: string | null;
  on_chain_balance_human: string | null;
  sync_count: number;
  error_count: number;
  last_error: string | null;
  processing_status: string;
  locked_by: string | null;
}

export type Handler = (request: Request) => Promise<Response>;

interface Token {
  contract: string;
  decimals?: number;
}

async function startProject(): Promise<Project> {
  await using parts = new AsyncDisposableStack();
  const database = parts.use(await openDatabase({ secretKey, publishableKey }));
  const { sql } = database;
  await sql("select vault.create_secret('http://127.0.0.1/', 'balance_sync_url')");
  await sql("select vault.create_secret($1, 'balance_sync_secret')", [syncSecret]);
  await sql("select balance_sync.schedule()");
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const rpc = new URL(request.url).pathname.replace("/rest/v1/rpc/", "");
    project.trips.push(rpc);
    // An SQL error makes PGlite's runtime set the exit code of the process.
    const forward = () => database.dataApi(request).finally(() => Deno.exitCode = 0);
    return await project.intercept(rpc, forward) ?? await forward();
  });
  parts.defer(() => server.shutdown());

  Deno.exitCode = 0;
  const running = parts.move();
  const project: Project = {
    url: `http://127.0.0.1:${server.addr.port}`,
    sql,
    env: {
      SUPABASE_URL: `http://127.0.0.1:${server.addr.port}`,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey }),
      SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: publishableKey }),
      BALANCE_SYNC_SECRET: syncSecret,
    },
    trips: [],
    intercept: () => Promise.resolve(undefined),
    handler(changes, unload) {
      const config = readConfig((name) => project.env[name]);
      return createHandler({ ...config, logLevel: "error", ...changes }, unload);
    },
    async empty() {
      project.trips.length = 0;
      project.intercept = () => Promise.resolve(undefined);
      await sql(
        `truncate public.wallet_balances, public.user_wallet_addresses, public.asset_on_chain,
         public.assets, public.chains, balance_sync.chain_settings, balance_sync.chain_state,
         balance_sync.lanes, balance_sync.unparking, balance_sync.runs, balance_sync.balance_changes`,
      );
    },
    async addChain(name, rpcUrl, settings = {}) {
      const [chain] = await sql<{ id: string }>(
        "insert into public.chains (name, rpc_url) values ($1, $2) returning id",
        [name, rpcUrl],
      );
      await sql(
        `insert into balance_sync.chain_settings
         select * from jsonb_populate_record(null::balance_sync.chain_settings, $1::text::jsonb)`,
        [JSON.stringify({ chain_id: chain!.id, evm_chain_id: chainId, ...settings })],
      );
      return chain!.id;
    },
    async addBalances(chainId, addresses, token) {
      const rows = await sql<{ id: string; address: string }>(
        `with asset as (
           insert into public.assets (symbol) values ('A') returning id
         ), listed as (
           insert into public.asset_on_chain (chain_id, asset_id, contract_address, decimals, is_native)
           select $1::uuid, id, $2::text, $3::integer, $2::text is null from asset returning id
         ), owned as (
           insert into public.user_wallet_addresses (wallet_id, chain_id, address)
           select gen_random_uuid(), $1::uuid, address
           from jsonb_array_elements_text($4::text::jsonb) as a (address)
           returning wallet_id, address
         ), balances as (
           insert into public.wallet_balances (wallet_id, asset_on_chain_id)
           select owned.wallet_id, listed.id from owned, listed
           returning id, wallet_id
         )
         select balances.id, owned.address from balances join owned using (wallet_id)`,
        [chainId, token?.contract ?? null, token?.decimals ?? 18, JSON.stringify(addresses)],
      );
      const ids = new Map(rows.map(({ id, address }) => [address, id]));
      return addresses.map((address) => ids.get(address)!);
    },
    async balance(id) {
      const [row] = await sql<Balance>(
        `select on_chain_balance_raw, on_chain_balance_human::text, sync_count, error_count, last_error,
                processing_status, locked_by
         from public.wallet_balances where id = $1`,
        [id],
      );
      return row!;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
  return project;
}

/** A request as an operator sends it: to the function's root, with the secret key. */
export function post(body?: unknown, headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/balance-sync", {
    method: "POST",
    headers: { apikey: secretKey, ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  });
}

export function get(path: string, headers: Record<string, string> = {}): Request {
  return new Request(`http://localhost/balance-sync${path}`, {
    headers: { apikey: secretKey, ...headers },
  });
}

/** The summary of a run that answered 200, with every claimed row in exactly one place. */
export async function summaryOf(response: Response): Promise<RunSummary> {
  assertEquals(response.status, 200);
  const summary: RunSummary = await response.json();
  assertAccounted(summary);
  return summary;
}

export function assertAccounted(summary: RunSummary): void {
  const { claimed, recorded, failed, stale, lost, released, chains } = summary;
  assertEquals(recorded + failed + stale + lost + released, claimed);
  for (const [key, total] of Object.entries({ claimed, recorded, failed })) {
    const sum = chains.reduce((sum, chain) => sum + Number(chain[key as "claimed"]), 0);
    assertEquals(sum, total, `${key} of the chains`);
  }
}

/** A made-up address of an EVM wallet; the same for the same number. */
export function evmAddress(number: number): string {
  return `0x${(0x1000n + BigInt(number)).toString(16).padStart(40, "b")}`;
}
