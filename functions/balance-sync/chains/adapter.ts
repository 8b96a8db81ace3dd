/**
 * The seam between the function and the chains: addresses in; a value with its block, or an error,
 * out. A chain family (EVM, TRON, …) is one file that exports a {@link ChainFamily}; mod.ts opens it
 * and decides what no family needs to know (decimals, missing contracts, one result per row).
 */

/** One row of a claim, as `claim_wallet_balances` hands it out. */
export interface WalletBalance {
  /** `wallet_balances.id` (uuid). */
  id: string;
  address: string;
  asset_id: string;
  is_native: boolean;
  /** Null for a native asset. */
  contract_address: string | null;
  decimals: number | null;
}

/** `balance_sync.chain_settings` of one chain; every key is optional (CONTRACT §5). */
export interface ChainSettings {
  /** The chain id a node must answer. Absent: the first answer of a run is what later ones must equal. */
  evm_chain_id?: number | string;
  fallback_rpc_urls?: string[];
  /** Header values arrive resolved; null means that the Vault secret it names does not exist. */
  rpc_headers?: Record<string, string | null>;
  multicall_address?: string;
  calls_per_request?: number;
  max_parallel_requests?: number;
  request_timeout_ms?: number;
  block_tag?: string;
}

/** One chain of a claim. */
export interface Chain {
  /** `chains.id` (uuid), not the EVM chain id. */
  chain_id: string;
  name: string;
  /** Family: a key of `families` in mod.ts. */
  adapter: string;
  rpc_url: string;
  settings: ChainSettings;
}

/**
 * Who a failure belongs to. `row`: this balance only. `contract`: every row of that token on that
 * chain. `chain`: the node or chain as a whole; Postgres then marks the chain out instead of
 * counting errors on its rows.
 */
export type ErrorScope = "row" | "contract" | "chain";

/** Why a balance could not be attested. `message` never holds a URL, header or key. */
export interface ReadError {
  code: ErrorCode;
  message: string;
  scope: ErrorScope;
}

/**
 * Every code an adapter may answer with, and `balance_refused` of a table that would not take what it
 * answered; README's table says what each means to an operator.
 */
export type ErrorCode =
  | "rpc_unreachable"
  | "rpc_timeout"
  | "rpc_rate_limited"
  | "rpc_unauthorized"
  | "rpc_bad_response"
  | "wrong_chain"
  | "stale_node"
  | "call_reverted"
  | "no_contract"
  | "bad_token_response"
  | "out_of_gas"
  | "invalid_address"
  | "missing_contract_address"
  | "invalid_decimals"
  | "balance_refused"
  | "invalid_chain_settings"
  | "unknown_adapter"
  | "aborted";

/**
 * `raw` in the asset's smallest unit, 0 <= raw < 2^256, as a node of chain `chainId` attested it at
 * `block`.
 */
export type ReadResult =
  | { id: string; raw: bigint; block: bigint; chainId?: bigint }
  | ErrorResult;

export type ErrorResult = { id: string; error: ReadError };

/** Reads one chain for the length of one run; remembers what it learns about nodes and contracts. */
export interface ChainReader {
  /**
   * Exactly one result per balance, in any order; never rejects. When `signal` aborts, what was not
   * read yet ends as `aborted`, which is no failure: those rows go back untouched.
   */
  read(balances: WalletBalance[], signal: AbortSignal): Promise<ReadResult[]>;
  /** HTTP requests sent to this chain's nodes so far. */
  readonly rpcCalls: number;
  /**
   * What the nodes say they are, once asked. Postgres remembers it, so that a URL that leads to
   * another chain one day is found out although nobody has set `evm_chain_id`.
   */
  readonly chainId?: bigint | undefined;
}

/** What a chain family exports. */
export interface ChainFamily {
  /**
   * The family's canonical spelling of an address. Throws an Error whose message completes
   * "invalid address: …". `use` is `contract` for a token's own address.
   */
  parseAddress(address: string, use: "wallet" | "contract"): string;
  /**
   * Opens a reader. Its `read` is given rows that mod.ts found sound: canonical addresses, a contract
   * for every token, decimals in range. Throws a ChainFailure when the chain's settings are no good.
   * A ChainFailure that `read` rejects with becomes the error of every row it was given.
   */
  open(chain: Chain): ChainReader;
}
