import type {
  Chain,
  ChainReader,
  ChainSettings,
} from "../../functions/balance-sync/chains/adapter.ts";
import type { Behaviour, Proxy } from "./proxy.ts";

/**
 * A chain with known balances and the power to fail: what a family gives the conformance suite so
 * that the same cases run against it. Everything on it is real except what `proxy` spoils.
 */
export interface World extends AsyncDisposable {
  /** The chain as a claim hands it out; its `rpc_url` leads through `proxy`. */
  chain: Chain;
  /** Stands between the adapter and the node. */
  proxy: Proxy;
  /** A reader opened as the function opens it, on `chain` with these settings on top. */
  open(settings?: ChainSettings, rpcUrl?: string): Promise<ChainReader>;
  /** The largest native balance the chain can hold (2^63 - 1 on TRON). */
  maxNative: bigint;
  /** A new wallet holding `native`, in the family's usual spelling. */
  wallet(native?: bigint): Promise<string>;
  /** A new token with these balances (by wallet), in the family's usual spelling. */
  token(balances: Iterable<[wallet: string, raw: bigint]>): Promise<string>;
  /**
   * A contract (or none) that misbehaves; undefined where the family cannot have such a thing.
   * One that contaminates owns 999 units of `victim` (a `token` of this world) and native funds.
   */
  badToken(kind: BadToken, victim?: string): Promise<string | undefined>;
  /** The same address in every other spelling the family accepts. */
  spellings(address: string): string[];
  /** What is no address of this family: wrong checksum, other family, too short. */
  notAddresses: string[];
  /** What is an address but cannot be a token's (a precompile), if the family knows such. */
  notContracts: string[];
  /** Settings under which the node turns out to be of another chain; undefined: cannot be told. */
  otherChain: ChainSettings | undefined;
  /** More requests than 1,000 rows of three tokens may take; 100 where it is not said. */
  requestsFor1000Rows?: number;
  /** The node's own ways of saying "too many requests", besides HTTP 429. */
  rateLimits: Record<string, Behaviour>;
}

/** What `balanceOf` of a broken or hostile token does. */
export type BadToken =
  /** Reverts with the reason "paused". */
  | "reverts"
  /** The address holds no code. */
  | "no code"
  /** Succeeds with nothing. */
  | "returns nothing"
  | "returns 16 bytes"
  | "returns 64 bytes"
  /** The INVALID opcode: all gas gone, no reason. */
  | "invalid opcode"
  /** Loops until its gas is gone. */
  | "burns gas"
  /** Answers 2 MB. */
  | "returns 2 MB"
  /** Reverts with 100 KB of data. */
  | "reverts with 100 KB"
  /** Sends its native funds and its 999 units of the victim to the wallet being read, then answers 1. */
  | "contaminates";
