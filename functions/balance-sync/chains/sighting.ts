/** A row to read, as hex without 0x, lower case; `token` is undefined for the native asset. */
export interface Row {
  id: string;
  token: string | undefined;
  owner: string;
}

/** What a node saw at one block, proven to be of one chain. */
export interface Sighting {
  chainId: bigint;
  block: bigint;
  /** The block's time, in seconds. */
  timestamp: bigint;
  /** One for each row, in the rows' order. */
  outcomes: Outcome[];
}

/** What came of one row's read. Only `raw` is a balance. */
export type Outcome =
  | { raw: bigint }
  /** `data`: as much of the revert data as came back. */
  | { failed: "reverted"; data: string }
  | { failed: "no code" }
  | { failed: "wrong length"; length: number }
  /** It may do better alone, with more gas. */
  | { failed: "too little gas" }
  /** The call's own gas ran out before this row's turn. */
  | { failed: "not tried" };
