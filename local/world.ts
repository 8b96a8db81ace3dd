/** The demo's wallets: what they hold on which chain, and how every row of theirs has to end. */
import { getAddress, id } from "ethers";

export type ChainName = "ethereum" | "bsc" | "tron" | "polygon";

export interface Asset {
  chain: ChainName;
  symbol: string;
  decimals: number;
  /** What lies behind `contract_address`. */
  contract: "native" | "token" | "reverting token" | "no code" | "none";
  isActive?: false;
}

export const assets: Asset[] = [
  { chain: "ethereum", symbol: "ETH", decimals: 18, contract: "native" },
  { chain: "ethereum", symbol: "USDT", decimals: 6, contract: "token" },
  { chain: "ethereum", symbol: "DAI", decimals: 18, contract: "token" },
  { chain: "ethereum", symbol: "HALT", decimals: 18, contract: "reverting token" },
  { chain: "ethereum", symbol: "VOID", decimals: 18, contract: "no code" },
  { chain: "ethereum", symbol: "OLD", decimals: 18, contract: "token", isActive: false },
  { chain: "bsc", symbol: "BNB", decimals: 18, contract: "native" },
  { chain: "bsc", symbol: "USDC", decimals: 18, contract: "token" },
  { chain: "bsc", symbol: "EURX", decimals: 6, contract: "token" },
  { chain: "bsc", symbol: "SOON", decimals: 18, contract: "none" },
  { chain: "tron", symbol: "TRX", decimals: 6, contract: "native" },
  { chain: "tron", symbol: "USDT", decimals: 6, contract: "token" },
  { chain: "polygon", symbol: "POL", decimals: 18, contract: "native" },
];

/** `synced` to what the chain holds, `failed` with this code, or `left` alone for this reason. */
export type Ending = { synced: string } | { failed: string } | { left: string };

export interface WorldRow {
  chain: ChainName;
  symbol: string;
  wallet: string;
  holds: bigint;
  ending: Ending;
}

function synced(chain: ChainName, symbol: string, wallet: string, holds: bigint, note = "") {
  return { chain, symbol, wallet, holds, ending: { synced: note } };
}

function failed(chain: ChainName, symbol: string, wallet: string, code: string) {
  return { chain, symbol, wallet, holds: 0n, ending: { failed: code } };
}

function left(chain: ChainName, symbol: string, wallet: string, why: string) {
  return { chain, symbol, wallet, holds: 0n, ending: { left: why } };
}

export const rows: WorldRow[] = [
  synced("ethereum", "ETH", "treasury", 1_234_567_890_123_456_789n),
  synced("ethereum", "ETH", "alice", 0n, "a true zero"),
  synced("ethereum", "USDT", "treasury", 987_654_321n),
  synced("ethereum", "USDT", "alice", 1n),
  synced("ethereum", "DAI", "treasury", 2n ** 53n + 1n, "above 2^53, exact"),
  failed("ethereum", "HALT", "treasury", "call_reverted"),
  failed("ethereum", "VOID", "treasury", "no_contract"),
  left("ethereum", "OLD", "treasury", "its asset is inactive"),
  synced("bsc", "BNB", "treasury", 42_000_000_000_000_000_001n),
  left("bsc", "BNB", "bob", "its wallet has no address on bsc"),
  synced("bsc", "USDC", "treasury", 12_500_000_000_000_000_007n),
  synced("bsc", "EURX", "alice", 73_000_001n),
  failed("bsc", "SOON", "treasury", "missing_contract_address"),
  synced("tron", "TRX", "treasury", 1_500_001n),
  synced("tron", "TRX", "newcomer", 0n, "an account never activated"),
  synced("tron", "USDT", "treasury", 3_141_592_653n),
  synced("tron", "USDT", "alice", 2n ** 53n + 3n, "above 2^53, exact"),
  left("polygon", "POL", "treasury", "its chain is inactive"),
];

/** Who has an address where; bob has opened no account on bsc. */
export function hasAddress({ chain, wallet }: WorldRow): boolean {
  return !(chain === "bsc" && wallet === "bob");
}

/** The wallet's account, the same on every EVM chain. */
export function addressOf(wallet: string): string {
  return getAddress(id(`balance-sync demo: ${wallet}`).slice(0, 42));
}

/** Where an asset's contract would be, and no code is. */
export const EMPTY_ADDRESS = addressOf("nobody");
