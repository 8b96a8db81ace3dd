/** Rows to claim, and the two calls of a worker as the function makes them. */
import type postgres from "postgres";

export interface Claim {
  claim_id: string | null;
  claimed: number;
  chains: { name: string; balances: { id: string }[] }[];
}

export interface Recorded {
  recorded: number;
  failed: number;
  changed: number;
  stale: string[];
  lost: string[];
}

/** `rows` due balances on each of `chains` chains: chain_1, chain_2, … of one native asset each. */
export async function addBalances(
  sql: postgres.Sql,
  { rows, chains = 1 }: { rows: number; chains?: number },
): Promise<void> {
  await sql`
    insert into chains (id, name, rpc_url)
    select md5('chain' || c)::uuid, 'chain_' || c, 'http://127.0.0.1:1'
    from generate_series(1, ${chains}::integer) as c`;
  await sql`insert into assets (id) values (md5('asset')::uuid)`;
  await sql`
    insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    select md5('asset on chain' || c)::uuid, md5('chain' || c)::uuid, md5('asset')::uuid, 18, true
    from generate_series(1, ${chains}::integer) as c`;
  await sql`
    insert into user_wallet_addresses (wallet_id, chain_id, address)
    select md5('wallet' || n)::uuid, md5('chain' || c)::uuid, '0x' || n
    from generate_series(1, ${chains}::integer) as c, generate_series(1, ${rows}::integer) as n`;
  await sql`
    insert into wallet_balances (wallet_id, asset_on_chain_id)
    select md5('wallet' || n)::uuid, md5('asset on chain' || c)::uuid
    from generate_series(1, ${chains}::integer) as c, generate_series(1, ${rows}::integer) as n`;
}

export async function claim(
  sql: postgres.Sql,
  worker: string,
  batchSize: number | null = null,
): Promise<Claim> {
  const [row] = await sql`select claim_wallet_balances(${worker}, ${batchSize}) as answer`;
  return row!.answer;
}

export function idsOf(claim: Claim): string[] {
  return claim.chains.flatMap((chain) => chain.balances.map(({ id }) => id));
}

/** Records `result` for every row of the claim. */
export async function record(
  sql: postgres.Sql,
  claimed: Claim,
  result: postgres.JSONValue & object = { raw: "1", block: "1" },
): Promise<Recorded> {
  const results = idsOf(claimed).map((id) => ({ ...result, id }));
  const [row] = await sql`
    select record_wallet_balances(${claimed.claim_id}, ${sql.json(results)}) as answer`;
  return row!.answer;
}
