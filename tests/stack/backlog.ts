/** A backlog of due balances on one chain, worked off by the runs that the dispatch starts. */
import { AssertionError } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import type { Sql } from "../../local/database.ts";
import type { EvmNode } from "../../local/evm_node.ts";

/** Due rows of the chain's own coin, an account each. Every tenth account holds its number, the others nothing. */
export async function addBacklog(
  { sql, node, rpcUrl, rows }: { sql: Sql; node: EvmNode; rpcUrl: string; rows: number },
): Promise<void> {
  await sql(
    `with chain as (
       insert into public.chains (name, rpc_url) values ('bsc', $1) returning id
     ), asset as (
       insert into public.assets (symbol) values ('BNB') returning id
     ), listed as (
       insert into public.asset_on_chain (chain_id, asset_id, is_native, decimals)
       select chain.id, asset.id, true, 18 from chain, asset
       returning id, chain_id
     ), owned as (
       insert into public.user_wallet_addresses (wallet_id, chain_id, address)
       select gen_random_uuid(), chain_id, '0xb' || lpad(to_hex(n), 39, '0')
       from listed, generate_series(1, $2::text::integer) as n
       returning wallet_id
     )
     insert into public.wallet_balances (wallet_id, asset_on_chain_id)
     select owned.wallet_id, listed.id from owned, listed`,
    [rpcUrl, `${rows}`],
  );
  await sql("analyze public.wallet_balances, public.user_wallet_addresses");
  const holders = Array.from({ length: Math.floor(rows / 10) }, (_, i) => (i + 1) * 10);
  while (holders.length > 0) {
    await Promise.all(
      holders.splice(0, 100).map((n) =>
        node.setBalance(`0xb${n.toString(16).padStart(39, "0")}`, BigInt(n))
      ),
    );
  }
}

/** How many rows hold what their account does, after exactly that many syncs. */
export async function countSynced(sql: Sql, times: number): Promise<number> {
  const [row] = await sql<{ synced: number }>(
    `select count(*)::integer as synced
     from public.wallet_balances as b
     join public.user_wallet_addresses as a using (wallet_id)
     cross join lateral (select ('x' || right(a.address, 8))::bit(32)::bigint as number) as account
     where b.sync_count = $1::text::integer
       and b.error_count = 0
       and b.processing_status = 'idle'
       and b.on_chain_balance_raw = case when number % 10 = 0 then number else 0 end::text`,
    [`${times}`],
  );
  return row!.synced;
}

/** Ticks once, and returns how many runs that queued. */
export async function dispatch(sql: Sql): Promise<number> {
  const [row] = await sql<{ queued: number }>("select balance_sync.dispatch() as queued");
  return row!.queued;
}

/** Until the condition holds of the ledger; after a minute an error with the ledger. */
export async function untilRuns(sql: Sql, condition: string): Promise<void> {
  const giveUp = Date.now() + 60_000;
  while ((await sql(`select from balance_sync.runs having ${condition}`)).length === 0) {
    if (Date.now() > giveUp) {
      const runs = await sql("select * from balance_sync.runs");
      throw new AssertionError(`Expected runs with ${condition}, found ${Deno.inspect(runs)}`);
    }
    await delay(50);
  }
}
