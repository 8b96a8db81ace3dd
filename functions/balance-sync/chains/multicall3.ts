/**
 * Multicall3's `aggregate3` for the few fixed shapes a balance read needs: text in, text out, no
 * network. ethers' ABI coder does the same in 216 ms per 1,000 calls, this in 1 ms (bench/), and an
 * isolate has 2 s of CPU; tests hold it against ethers, which also decodes more than is sound.
 */

import type { Outcome, Row } from "./sighting.ts";

/** Where it lies on 250 chains; its key is public, so code at this address proves nothing by itself. */
export const multicall3Address = "0xca11bde05977b3631167028862be2a173976ca11";

/** keccak256 of the canonical runtime code. */
export const multicall3CodeHash =
  "0xd5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891";

/** One call of an aggregate: 20 bytes of address and its calldata, hex without 0x, lower case. */
export interface Call {
  target: string;
  data: string;
}

/** What one call answered: `data` is hex without 0x. */
export interface CallResult {
  success: boolean;
  data: string;
}

export const selectors = {
  aggregate3: "82ad56cb",
  balanceOf: "70a08231",
  getEthBalance: "4d2301cc",
  getChainId: "3408e470",
  getBlockNumber: "42cbb15c",
  getCurrentBlockTimestamp: "0f28c97d",
} as const;

/** An address (hex, no 0x) as an argument. */
export function addressWord(address: string): string {
  return address.padStart(64, "0");
}

/** Calldata of `aggregate3`, every call allowed to fail; hex without 0x. */
export function encodeAggregate3(calls: Call[]): string {
  const offsets: string[] = [];
  const tuples: string[] = [];
  let offset = calls.length * 32;
  for (const { target, data } of calls) {
    const length = data.length / 2;
    const padded = data.padEnd(Math.ceil(length / 32) * 64, "0");
    offsets.push(word(offset));
    tuples.push(addressWord(target), allowFailure, atWord3, word(length), padded);
    offset += 128 + padded.length / 2;
  }
  return selectors.aggregate3 + atWord1 + word(calls.length) + offsets.join("") + tuples.join("");
}

/**
 * The results of `aggregate3`, of which there must be `count`. Only the one layout that a Solidity
 * contract produces is read; anything else (short, long, overlapping, a bool of 2) throws.
 */
export function decodeAggregate3(answer: string, count: number): CallResult[] {
  if (!/^[0-9a-f]*$/.test(answer)) throw new RangeError("aggregate3 answered no lower-case hex");
  const read = (at: number) => smallInteger(answer, at);
  if (read(0) !== 32 || read(32) !== count) {
    throw new RangeError(`aggregate3 answered no array of ${count} results`);
  }
  const results: CallResult[] = [];
  let offset = count * 32;
  for (let i = 0; i < count; i++) {
    if (read(64 + i * 32) !== offset) throw new RangeError(`result ${i} is not where it belongs`);
    const start = 64 + offset;
    const success = read(start);
    const length = read(start + 64);
    if (success > 1 || read(start + 32) !== 64) throw new RangeError(`result ${i} is malformed`);
    const from = (start + 96) * 2;
    const padded = Math.ceil(length / 32) * 32;
    const padding = answer.slice(from + length * 2, from + padded * 2);
    if (from + padded * 2 > answer.length || /[^0]/.test(padding)) {
      throw new RangeError(`result ${i} is cut short`);
    }
    results.push({ success: success === 1, data: answer.slice(from, from + length * 2) });
    offset += 96 + padded;
  }
  if (answer.length !== (64 + offset) * 2) {
    throw new RangeError("aggregate3 answered trailing bytes");
  }
  return results;
}

/** The call that reads a row's balance; Multicall3 itself, at `multicall`, knows the native ones. */
export function callFor({ token, owner }: Row, multicall: string): Call {
  return token === undefined
    ? { target: multicall, data: selectors.getEthBalance + addressWord(owner) }
    : { target: token, data: selectors.balanceOf + addressWord(owner) };
}

/** What such a call says of the row. Only one whole word is a balance. */
export function outcomeOf({ success, data }: CallResult): Outcome {
  if (success && data.length === 64) return { raw: BigInt("0x" + data) };
  if (success) return { failed: "wrong length", length: data.length / 2 };
  // Nothing said: a revert without a reason, or a call that was starved by those before it.
  return data === "" ? { failed: "too little gas" } : { failed: "reverted", data };
}

/** The number that a header call answered. */
export function wordOf({ success, data }: CallResult): bigint {
  if (!success || data.length !== 64) throw new RangeError("a header read failed");
  return BigInt("0x" + data);
}

const atWord1 = word(32);
const atWord3 = word(96);
const allowFailure = word(1);

function word(value: number): string {
  return value.toString(16).padStart(64, "0");
}

/** The word at a byte offset, which must be a number below 2^32: lengths and offsets always are. */
function smallInteger(hex: string, at: number): number {
  const text = hex.slice(at * 2, at * 2 + 64);
  if (text.length !== 64 || !text.startsWith(zeros)) {
    throw new RangeError(`the word at byte ${at} is missing or too large`);
  }
  return parseInt(text.slice(56), 16);
}

const zeros = "0".repeat(56);
