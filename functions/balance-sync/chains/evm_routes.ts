/** The three ways to read many balances on an EVM chain, from the best to the last resort. */
import { keccak256 } from "ethers";
import { callData, decodeAnswer, encodeQuestion, maxRows } from "./balance_reader.ts";
import { ChainFailure, malformed } from "./http.ts";
import { CallReverted, type EndpointProvider } from "./json_rpc.ts";
import {
  addressWord,
  type Call,
  callFor,
  decodeAggregate3,
  encodeAggregate3,
  multicall3CodeHash,
  outcomeOf,
  selectors,
  wordOf,
} from "./multicall3.ts";
import type { Route } from "./session.ts";
import type { Outcome, Row } from "./sighting.ts";

/** balance_reader.yul as constructor code: needs no contract on the chain, and is a sandbox. */
export const constructorRoute: Route<EndpointProvider> = {
  maxRows,
  sandboxed: true,
  async read(provider, rows, { blockTag, allowance }) {
    const question = encodeQuestion(rows, allowance);
    const answer = await call(provider, { data: "0x" + callData(question) }, blockTag);
    // A node that takes no constructor code answers with nothing.
    if (answer === "") throw new CallReverted("no answer to constructor code", "");
    try {
      return await decodeAnswer(answer, question);
    } catch {
      throw malformed(provider.endpoint.alias);
    }
  },
};

/**
 * Multicall3 at `address`. A known code hash proves the canonical contract; at an address that the
 * operator chose (other builds, zkSync) any code is taken at their word.
 */
export function multicallRoute(address: string, chosen: boolean): Route<EndpointProvider> {
  const target = address.slice(2);
  const checked = new Map<string, { hasArbSys: boolean }>();
  return {
    maxRows: 1000,
    sandboxed: false,
    async read(provider, rows, { blockTag }) {
      const { alias } = provider.endpoint;
      const found = checked.get(alias) ?? await check(provider, address, chosen, blockTag);
      checked.set(alias, found);
      const calls: Call[] = [
        { target, data: selectors.getChainId },
        { target, data: selectors.getBlockNumber },
        { target, data: selectors.getCurrentBlockTimestamp },
        ...found.hasArbSys ? [{ target: arbSys.slice(2), data: arbBlockNumber }] : [],
        ...rows.map((row) => callFor(row, target)),
      ];
      const data = "0x" + encodeAggregate3(calls);
      const answer = await call(provider, { to: address, data }, blockTag);
      try {
        const results = decodeAggregate3(answer, calls.length);
        const heads = results.splice(0, calls.length - rows.length).map(wordOf);
        const [chainId, block, timestamp] = heads;
        return {
          chainId: chainId!,
          block: heads[3] ?? block!,
          timestamp: timestamp!,
          outcomes: results.map(outcomeOf),
        };
      } catch {
        throw malformed(alias);
      }
    },
  };
}

async function check(
  provider: EndpointProvider,
  address: string,
  chosen: boolean,
  blockTag: string,
) {
  const [code, arbSysCode] = await Promise.all([
    codeAt(provider, address, blockTag),
    codeAt(provider, arbSys, blockTag),
  ]);
  if (code === "" || !chosen && keccak256("0x" + code) !== multicall3CodeHash) {
    throw new CallReverted("no Multicall3 at its address", "");
  }
  return { hasArbSys: arbSysCode !== "" };
}

/** One call per balance, in JSON-RPC batches pinned to one block, each with the chain id. */
export const plainRoute: Route<EndpointProvider> = {
  maxRows: 50,
  sandboxed: true,
  async read(provider, rows, { blockTag }) {
    const { alias } = provider.endpoint;
    const head = await provider.send("eth_getBlockByNumber", [blockTag, false]);
    const [block, timestamp] = [quantity(head?.number, alias), quantity(head?.timestamp, alias)];
    const at = "0x" + block.toString(16);
    const [chainId, ...outcomes] = await Promise.all([
      provider.send("eth_chainId", []).then((id) => quantity(id, alias)),
      ...rows.map((row) => plainRead(provider, row, at)),
    ]);
    return { chainId, block, timestamp, outcomes };
  },
};

async function plainRead(provider: EndpointProvider, row: Row, at: string): Promise<Outcome> {
  const { alias } = provider.endpoint;
  if (row.token === undefined) {
    return { raw: quantity(await provider.send("eth_getBalance", ["0x" + row.owner, at]), alias) };
  }
  const data = "0x" + selectors.balanceOf + addressWord(row.owner);
  try {
    return outcomeOf({
      success: true,
      data: await call(provider, { to: "0x" + row.token, data }, at),
    });
  } catch (failure) {
    if (failure instanceof CallReverted) return { failed: "reverted", data: failure.data };
    if (failure instanceof ChainFailure && failure.code === "out_of_gas") {
      return { failed: "too little gas" };
    }
    throw failure;
  }
}

/** Whether there is code at an address; the routes that only see "nothing" ask this afterwards. */
export async function hasCode(provider: EndpointProvider, token: string, blockTag: string) {
  return await codeAt(provider, "0x" + token, blockTag) !== "";
}

const arbSys = "0x0000000000000000000000000000000000000064";
const arbBlockNumber = "a3b1b31d";

async function call(
  provider: EndpointProvider,
  transaction: { to?: string; data: string },
  blockTag: string,
): Promise<string> {
  return bytes(
    await provider.send("eth_call", [transaction, blockTag]),
    provider.endpoint.alias,
  );
}

async function codeAt(provider: EndpointProvider, address: string, blockTag: string) {
  return bytes(await provider.send("eth_getCode", [address, blockTag]), provider.endpoint.alias);
}

/** DATA of JSON-RPC, as lower-case hex without 0x. */
function bytes(value: unknown, alias: string): string {
  if (typeof value !== "string" || !/^0x(?:[0-9a-f]{2})*$/i.test(value)) throw malformed(alias);
  return value.slice(2).toLowerCase();
}

/** QUANTITY of JSON-RPC. */
function quantity(value: unknown, alias: string): bigint {
  if (typeof value !== "string" || !/^0x[0-9a-f]{1,64}$/i.test(value)) throw malformed(alias);
  return BigInt(value);
}
