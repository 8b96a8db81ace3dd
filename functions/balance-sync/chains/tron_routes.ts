/** The three ways to read many balances on TRON, from the best to the last resort. */
import { callData, decodeAnswer, encodeQuestion, maxRows } from "./balance_reader.ts";
import { ChainFailure, malformed } from "./http.ts";
import {
  addressWord,
  type Call,
  callFor,
  decodeAggregate3,
  encodeAggregate3,
  outcomeOf,
  selectors,
  wordOf,
} from "./multicall3.ts";
import type { Route } from "./session.ts";
import type { Outcome, Row } from "./sighting.ts";
import type { CallResult, TronEndpoint } from "./tron_endpoint.ts";

/** A public node gives one constant call 80 ms of CPU, looked at between any two opcodes. */
export const callsPerRequest = 50;

/**
 * balance_reader.yul as constructor code, which java-tron runs when a constant call names no contract
 * (its documents use that to estimate a deployment). Needs no contract on the chain, is a sandbox,
 * and its answer proves itself.
 */
export const constructorRoute: Route<TronEndpoint> = {
  maxRows,
  sandboxed: true,
  async read(node, rows, { allowance }) {
    const question = encodeQuestion(rows, allowance);
    const answer = dataOf(await node.call(undefined, callData(question)), node);
    // A node that takes no constructor code answers with nothing.
    if (answer === "") throw verdict(node, "answered constructor code with nothing");
    try {
      return await decodeAnswer(answer, question);
    } catch {
      throw malformed(node.alias);
    }
  },
};

/** Multicall3, 40 hexadecimal digits of address; header and balances in one request. */
export function multicallRoute(address: string): Route<TronEndpoint> {
  const header: Call[] = [
    { target: address, data: selectors.getChainId },
    { target: address, data: selectors.getBlockNumber },
    { target: address, data: selectors.getCurrentBlockTimestamp },
  ];
  return {
    maxRows: callsPerRequest - header.length,
    sandboxed: false,
    async read(node, rows) {
      const calls = [...header, ...rows.map((row) => callFor(row, address))];
      const answer = dataOf(await node.call(address, encodeAggregate3(calls)), node);
      try {
        const results = decodeAggregate3(answer, calls.length);
        const [chainId, block, timestamp] = results.splice(0, header.length).map(wordOf);
        return {
          chainId: chainId!,
          block: block!,
          timestamp: timestamp!,
          outcomes: results.map(outcomeOf),
        };
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
export function singleRoute(): Route<TronEndpoint> {
  const chainIds = new Map<string, bigint>();
  return {
    // All of it is one attempt at one endpoint, which has to end within three request timeouts.
    maxRows: 10,
    sandboxed: true,
    async read(node, rows) {
      const chainId = chainIds.get(node.alias) ?? await node.chainId();
      chainIds.set(node.alias, chainId);
      const before = await node.head();
      const outcomes: Outcome[] = [];
      for (const row of rows) outcomes.push(await singleRead(node, row));
      const after = await node.head();
      const { block, timestamp } = after.block < before.block ? after : before;
      return { chainId, block, timestamp, outcomes };
    },
  };
}

async function singleRead(node: TronEndpoint, { token, owner }: Row): Promise<Outcome> {
  if (token === undefined) return { raw: await node.balanceOf(owner) };
  const result = await node.call(token, selectors.balanceOf + addressWord(owner));
  if (!("failed" in result)) return outcomeOf({ success: true, data: result.data });
  if (result.failed === "exhausted") return { failed: "too little gas" };
  if (result.failed === "refused") throw malformed(node.alias);
  return result;
}

/** Whether there is a contract, which an empty answer inside an aggregate does not say. */
export async function hasCode(node: TronEndpoint, token: string): Promise<boolean> {
  const result = await node.call(token, selectors.balanceOf + addressWord(""));
  return !("failed" in result && result.failed === "no code");
}

/** What a request for many balances gave back, or why it gave none of them. */
function dataOf(result: CallResult, node: TronEndpoint): string {
  if (!("failed" in result)) return result.data;
  if (result.failed === "exhausted") {
    const message = `${node.alias} ran out of CPU time or energy for the call`;
    throw new ChainFailure("out_of_gas", message);
  }
  throw verdict(node, `answered a constant call with "${result.failed}"`);
}

/** This way of asking does not work here; another one may. */
function verdict(node: TronEndpoint, found: string): ChainFailure {
  return new ChainFailure("rpc_bad_response", `${node.alias} ${found}`);
}
