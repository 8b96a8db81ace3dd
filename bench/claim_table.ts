/** The table that the claim benchmarks share: filled, dealt into lanes and analysed. */
import type postgres from "postgres";

/** Four chains of 40, 30, 20 and 10 % of the rows, four assets each; every wallet has all of a chain's. */
export async function fillWalletBalances(sql: postgres.Sql, rows: number): Promise<void> {
  await sql`
    insert into chains (id, name, rpc_url)
    select md5('chain' || n)::uuid, 'chain_' || n, 'http://127.0.0.1:1'
    from generate_series(1, 4) as n`;
  await sql`
    insert into assets (id, symbol)
    select md5('asset' || n)::uuid, 'A' || n
    from generate_series(1, 4) as n`;
  await sql`
    insert into asset_on_chain (id, chain_id, asset_id, contract_address, decimals, is_native)
    select
      md5('on chain' || c || '/' || a)::uuid, md5('chain' || c)::uuid, md5('asset' || a)::uuid,
      case when a > 1 then '0x' || md5('contract' || c || '/' || a) || '00000000' end, 18, a = 1
    from generate_series(1, 4) as c, generate_series(1, 4) as a`;

  // wallet n lives on one chain: 1 for n % 10 in 0..3, 2 for 4..6, 3 for 7..8, 4 for 9
  const chainOf =
    sql`case when g.n % 10 < 4 then 1 when g.n % 10 < 7 then 2 when g.n % 10 < 9 then 3 else 4 end`;
  await sql`
    insert into user_wallet_addresses (wallet_id, chain_id, address)
    select md5('wallet' || g.n)::uuid, md5('chain' || ${chainOf})::uuid, '0x' || md5('address' || g.n) || '00000000'
    from generate_series(1, ${Math.ceil(rows / 4)}::integer) as g (n)`;
  // eight lanes a chain, by the last bits of the wallet id: where deal_lanes() ends up
  await sql`
    insert into balance_sync.lanes (chain_id, part, rows_dealt)
    select c.id, p, ${Math.ceil(rows / 32)}
    from chains as c, generate_series(0, 7) as p`;
  // due over the last hour in the table's order, as an adopted table is and as batches stay together
  await sql`
    insert into wallet_balances (
      wallet_id, asset_on_chain_id, on_chain_balance_raw, on_chain_balance_human, on_chain_block,
      sync_count, next_sync_at, sync_lane
    )
    select
      w.id, md5('on chain' || w.chain || '/' || a)::uuid,
      '1000000000000000000', 1, 1, 1,
      now() - interval '1 hour' * (1 - w.n / ${rows / 4}::float8), l.lane
    from (
      select g.n, md5('wallet' || g.n)::uuid as id, ${chainOf} as chain
      from generate_series(1, ${Math.ceil(rows / 4)}::integer) as g (n)
    ) as w
    join balance_sync.lanes as l
      on l.chain_id = md5('chain' || w.chain)::uuid
      and l.part = get_byte(uuid_send(w.id), 15) & 7
    cross join generate_series(1, 4) as a
    order by w.n`;
  await sql.unsafe("vacuum analyze").simple();
}
