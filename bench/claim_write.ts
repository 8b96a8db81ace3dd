/** What a peer's jobs carry, and the balances of a batch written as a peer would write them. */
import type postgres from "postgres";

/** What it takes to read one balance. */
export type Target = {
  id: string;
  chain: string;
  address: string;
  asset_id: string;
  is_native: boolean;
  contract_address: string | null;
  decimals: number;
};

/** Every balance as a {@link Target}, the longest due first. */
export function targets(sql: postgres.Sql) {
  return sql<{ target: Target; due_at: Date }[]>`
    select
      json_build_object(
        'id', b.id, 'chain', c.name, 'address', u.address, 'asset_id', a.asset_id,
        'is_native', a.is_native, 'contract_address', a.contract_address, 'decimals', a.decimals
      ) as target,
      b.next_sync_at as due_at
    from wallet_balances as b
    join asset_on_chain as a on a.id = b.asset_on_chain_id
    join chains as c on c.id = a.chain_id
    join user_wallet_addresses as u on u.wallet_id = b.wallet_id and u.chain_id = a.chain_id
    order by b.next_sync_at`;
}

/** Without our indexes and triggers a peer's updates of the balances stay on their page (HOT). */
export async function dropIndexes(sql: postgres.Sql): Promise<void> {
  await sql.unsafe("drop index wallet_balances_due, wallet_balances_parked").simple();
}

/** One update of the balance columns and of whatever `more` sets; returns nothing, as nobody asks. */
export async function writeBalances(
  sql: postgres.Sql,
  ids: string[],
  balances: string[],
  block: number,
  more = sql``,
): Promise<void> {
  await sql`
    update wallet_balances as b
    set
      on_chain_balance_raw = v.raw,
      on_chain_balance_human = v.raw::numeric / 1000000000000000000,
      on_chain_block = ${block},
      last_checked = now(),
      last_processed_at = now(),
      sync_count = b.sync_count + 1,
      updated_at = now()
      ${more}
    from unnest(${ids}::uuid[], ${balances}::text[]) as v (id, raw)
    where b.id = v.id`;
}
