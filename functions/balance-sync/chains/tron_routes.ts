/** The three ways to read many balances on TRON, from the best to the last resort. */
import { callData, decodeAnswer, encodeQuestion } from "./balance_reader.ts";
import { ChainFailure } from "./http.ts";
import {
  addressWord,
  type Call,
  decodeAggregate3,
  encodeAggregate3,
  selectors,
} from "./multicall3.ts";
import type { Outcome, Row, Sighting } from "./sighting.ts";
import { type CallResult, malformed, type TronEndpoint } from "./tron_endpoint.ts";

export interface Route {
  /** Rows one request may hold, where the operator does not say. */
  maxRows: number;
  /** Whether rows of several token contracts may share a request without harming each other. */
  sandboxed: boolean;
  /** Reads with `allowance` energy for each balanceOf, where the route can say so. */
  read(node: TronEndpoint, rows: Row[], allowance: number): Promise<Sighting>;
}

/**
 * balance_reader.yul as constructor code, which java-tron runs when a constant call names no contract
 * (its documents use that to estimate a deployment). Needs no contract on the chain, is a sandbox,
 * and its answer proves itself.
 */
export const constructorRoute: Route = {
  // 80 ms of CPU is what a public node gives one constant call, checked at every opcode.
  maxRows: 50,
  sandboxed: true,
  async read(node, rows, allowance) {
    const question = encodeQuestion(rows, allowance);
    const answer = dataOf(await node.call(undefined, callData(question)), node);
    // A node that takes no constructor code answers with nothing.
    if (answer === "") throw verdict(node, "gave no answer to constructor code");
    try {
      return await decodeAnswer(answer, question);
    } catch {
      throw malformed(node.alias);
    }
  },
};

/** Multicall3, 40 hexadecimal digits of address; header and balances in one request. */
export function multicallRoute(address: string): Route {
  const header: Call[] = [
    { target: address, data: selectors.getChainId },
    { target: address, data: selectors.getBlockNumber },
    { target: address, data: selectors.getCurrentBlockTimestamp },
  ];
  return {
    maxRows: 50 - header.length,
    sandboxed: false,
    async read(node, rows) {
      const calls = [...header, ...rows.map((row) => callOf(row, address))];
      const answer = dataOf(await node.call(address, encodeAggregate3(calls)), node);
      try {
        const results = decodeAggregate3(answer, calls.length);
        const [chainId, block, timestamp] = results.splice(0, header.length).map(wordOf);
        const outcomes = results.map(({ success, data }) => outcomeOf(success, data));
        return { chainId: chainId!, block: block!, timestamp: timestamp!, outcomes };
      } catch {
        throw malformed(node.alias);
      }
    },
  };
}

/**
 * One request per balance: getaccount and balanceOf, both on one side. Such answers name no block, so
 * the node is asked for its head before and after, and the lower number is claimed: each balance is
 * of that block or a later one. (A balancer could still hand a single read to a node further behind.)
 */
export const singleRoute: Route = {
  // All of it is one attempt at one endpoint, which has to end within three request timeouts.
  maxRows: 10,
  sandboxed: true,
  async read(node, rows) {
    const chainId = await node.chainId();
    const before = await node.head();
    const outcomes: Outcome[] = [];
    for (const row of rows) outcomes.push(await singleRead(node, row));
    const after = await node.head();
    const { block, timestamp } = after.block < before.block ? after : before;
    return { chainId, block, timestamp, outcomes };
  },
};

async function singleRead(node: TronEndpoint, { token, owner }: Row): Promise<Outcome> {
  if (token === undefined) return { raw: await node.balanceOf(owner) };
  const result = await node.call(token, selectors.balanceOf + addressWord(owner));
  if (!("failed" in result)) return outcomeOf(true, result.data);
  return result.failed === "exhausted" ? { failed: "too little gas" } : result;
}

function callOf({ token, owner }: Row, multicall: string): Call {
  return token === undefined
    ? { target: multicall, data: selectors.getEthBalance + addressWord(owner) }
    : { target: token, data: selectors.balanceOf + addressWord(owner) };
}

function outcomeOf(success: boolean, data: string): Outcome {
  if (success && data.length === 64) return { raw: BigInt(`0x${data}`) };
  if (success) return { failed: "wrong length", length: data.length / 2 };
  // Nothing said: a revert without a reason, or a call that was starved by those before it.
  return data === "" ? { failed: "too little gas" } : { failed: "reverted", data };
}

function wordOf({ success, data }: { success: boolean; data: string }): bigint {
  if (!success || data.length !== 64) throw new RangeError("a header read failed");
  return BigInt(`0x${data}`);
}

/** What a request for many balances gave back, or why it gave none of them. */
function dataOf(result: CallResult, node: TronEndpoint): string {
  if (!("failed" in result)) return result.data;
  if (result.failed === "exhausted") {
    const message = `${node.alias} ran out of CPU time or energy for the call`;
    throw new ChainFailure("out_of_gas", message);
  }
  throw verdict(node, `has nothing there to answer: ${result.failed}`);
}

/** This way of asking does not work here; another one may. */
function verdict(node: TronEndpoint, found: string): ChainFailure {
  return new ChainFailure("rpc_bad_response", `${node.alias} ${found}`);
}
