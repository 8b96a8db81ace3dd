/** The demo's rows in the seeds' tables, and what has become of them. */
import type { Sql } from "./database.ts";
import { addressOf, assets, hasAddress, rows, type WorldRow } from "./world.ts";
import type { WorldChain } from "./world_chains.ts";

/** A row of the world, as the database has it. */
export interface SeededRow extends WorldRow {
  id: string;
  /** Null: the wallet has none on this chain. */
  address: string | null;
}

export interface SeededWorld {
  rows: SeededRow[];
  /** Removes all of it: a real database outlives the demo. */
  remove: () => Promise<void>;
}

export async function seedWorld(sql: Sql, chains: WorldChain[]): Promise<SeededWorld> {
  const chainIds = new Map(chains.map(({ name }) => [name, crypto.randomUUID()]));
  const assetIds = new Map(assets.map(({ symbol }) => [symbol, crypto.randomUUID()]));
  const walletIds = new Map(rows.map(({ wallet }) => [wallet, crypto.randomUUID()]));
  const chainOf = new Map(chains.map((chain) => [chain.name, chain]));

  const insert = (table: string, columns: string, records: Record<string, unknown>[]) =>
    sql(
      `insert into ${table} (${columns})
       select ${columns} from jsonb_populate_recordset(null::${table}, $1::text::jsonb)`,
      [JSON.stringify(records)],
    );

  await insert(
    "public.chains",
    "id, name, rpc_url, is_active",
    chains.map(({ name, rpcUrl }) => ({
      id: chainIds.get(name),
      name,
      rpc_url: rpcUrl,
      is_active: name !== "polygon",
    })),
  );
  await insert(
    "balance_sync.chain_settings",
    "chain_id, evm_chain_id",
    chains.map(({ name, evmChainId }) => ({
      chain_id: chainIds.get(name),
      evm_chain_id: evmChainId,
    })),
  );
  await insert(
    "public.assets",
    "id, symbol",
    [...assetIds].map(([symbol, id]) => ({ id, symbol })),
  );

  const assetOnChainIds = new Map<string, string>();
  await insert(
    "public.asset_on_chain",
    "id, chain_id, asset_id, contract_address, decimals, is_native, is_active",
    assets.map(({ chain, symbol, decimals, contract, isActive = true }) => {
      const id = crypto.randomUUID();
      assetOnChainIds.set(`${chain}/${symbol}`, id);
      return {
        id,
        chain_id: chainIds.get(chain),
        asset_id: assetIds.get(symbol),
        contract_address: chainOf.get(chain)?.contracts[symbol] ?? null,
        decimals,
        is_native: contract === "native",
        is_active: isActive,
      };
    }),
  );

  const seeded = rows.map((row) => ({
    ...row,
    id: crypto.randomUUID(),
    address: hasAddress(row) ? chainOf.get(row.chain)!.spell(addressOf(row.wallet)) : null,
  }));
  const addresses = new Map(
    seeded.filter(({ address }) => address !== null)
      .map(({ chain, wallet, address }) => [`${chain}/${wallet}`, { chain, wallet, address }]),
  );
  await insert(
    "public.user_wallet_addresses",
    "id, wallet_id, chain_id, address, is_active",
    [...addresses.values()].map(({ chain, wallet, address }) => ({
      id: crypto.randomUUID(),
      wallet_id: walletIds.get(wallet),
      chain_id: chainIds.get(chain),
      address,
      is_active: true,
    })),
  );
  await insert(
    "public.wallet_balances",
    "id, wallet_id, asset_on_chain_id",
    seeded.map(({ id, chain, symbol, wallet }) => ({
      id,
      wallet_id: walletIds.get(wallet),
      asset_on_chain_id: assetOnChainIds.get(`${chain}/${symbol}`),
    })),
  );

  return {
    rows: seeded,
    async remove() {
      const ids = JSON.stringify([...chainIds.values()]);
      const ours = "(select value::uuid from jsonb_array_elements_text($1::text::jsonb))";
      const assetsOnChain = `(select id from public.asset_on_chain where chain_id in ${ours})`;
      await sql(`delete from public.wallet_balances where asset_on_chain_id in ${assetsOnChain}`, [
        ids,
      ]);
      await sql(`delete from public.user_wallet_addresses where chain_id in ${ours}`, [ids]);
      await sql(`delete from public.asset_on_chain where chain_id in ${ours}`, [ids]);
      await sql(`delete from public.chains where id in ${ours}`, [ids]);
      await sql(`delete from public.assets where id in ${ours}`, [
        JSON.stringify([...assetIds.values()]),
      ]);
    },
  };
}
