/** What became of the demo's rows, and whether it is what had to become of them. */
import { formatUnits } from "ethers";
import type { Sql } from "./database.ts";
import { assets } from "./world.ts";
import type { WorldChain } from "./world_chains.ts";
import type { SeededRow } from "./world_seed.ts";

/** A row after a sync; integers as text. */
interface StoredRow {
  id: string;
  raw: string | null;
  human: string | null;
  block: string | null;
  status: string;
  last_error: string | null;
  sync_count: number;
  error_count: number;
  is_parked: boolean;
}

export interface Outcome extends SeededRow, StoredRow {
  /** How the row is not as it had to be; empty when all is well. */
  faults: string[];
}

/** Reads the rows back and compares each with its chain, not with what the sync reported. */
export async function examineWorld(
  sql: Sql,
  rows: SeededRow[],
  chains: WorldChain[],
): Promise<Outcome[]> {
  const stored = await sql<StoredRow>(
    `select
         id,
         on_chain_balance_raw as raw,
         on_chain_balance_human::text as human,
         on_chain_block::text as block,
         processing_status as status,
         last_error,
         sync_count,
         error_count,
         next_sync_at is null as is_parked
     from public.wallet_balances
     where id in (select value::uuid from jsonb_array_elements_text($1::text::jsonb))`,
    [JSON.stringify(rows.map(({ id }) => id))],
  );
  const byId = new Map(stored.map((row) => [row.id, row]));
  return await Promise.all(rows.map(async (row) => {
    const outcome = { ...row, ...byId.get(row.id)! };
    const chain = chains.find(({ name }) => name === row.chain)!;
    return { ...outcome, faults: await findFaults(outcome, chain) };
  }));
}

async function findFaults(row: SeededRow & StoredRow, chain: WorldChain): Promise<string[]> {
  const faults: string[] = [];
  const expect = (what: string, expected: unknown, found: unknown) => {
    if (found !== expected) faults.push(`expected ${what} ${expected}, found ${found}`);
  };
  expect("status", "idle", row.status);
  if ("synced" in row.ending) {
    const asset = assets.find(({ chain, symbol }) => chain === row.chain && symbol === row.symbol)!;
    const raw = await chain.balanceOf(asset, row.wallet);
    expect("raw", `${raw}`, row.raw);
    expect("human", formatUnits(raw, asset.decimals).replace(/\.0$/, ""), row.human);
    expect("last_error", null, row.last_error);
    expect("a first sync", true, row.sync_count >= 1 && row.block !== null);
    return faults;
  }
  expect("raw", null, row.raw);
  expect("sync_count", 0, row.sync_count);
  if ("failed" in row.ending) {
    expect("error", row.ending.failed, row.last_error?.split(":")[0]);
  } else {
    expect("error", null, row.last_error);
    expect("parked", true, row.is_parked);
    expect("error_count", 0, row.error_count);
  }
  return faults;
}
