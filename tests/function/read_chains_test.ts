import { assertEquals } from "@std/assert";
import type { ChainReader, ReadResult } from "../../functions/balance-sync/chains/adapter.ts";
import { type ChainRead, readChains } from "../../functions/balance-sync/read_chains.ts";
import type { ClaimedChain } from "../../functions/balance-sync/wallet_balances.ts";

// Readers in memory: a real one ends when it is told to and cannot be timed to the microtask.

type Read = ChainReader["read"];

function chain(name: string): ClaimedChain {
  const balance = {
    id: `row of ${name}`,
    address: "0x",
    asset_id: "asset",
    is_native: true,
    contract_address: null,
    decimals: 18,
  };
  return { chain_id: name, name, adapter: "evm", rpc_url: "", settings: {}, balances: [balance] };
}

const zero: Read = (rows) =>
  Promise.resolve(rows.map(({ id }): ReadResult => ({ id, raw: 0n, block: 1n })));

function open(reads: Record<string, Read>, opened: string[] = []) {
  return ({ name }: { name: string }) => {
    opened.push(name);
    return Promise.resolve({ rpcCalls: 1, read: reads[name]! });
  };
}

function names(reads: ChainRead[]): string[] {
  return reads.map(({ chain }) => chain.name);
}

const never = new AbortController().signal;

Deno.test("no chains: nothing is handed over", async () => {
  assertEquals(await Array.fromAsync(readChains([], open({}), new Map(), never)), []);
});

Deno.test("chains that answer together are handed over together", async () => {
  const reading = readChains(
    [chain("a"), chain("b")],
    open({ a: zero, b: zero }),
    new Map(),
    never,
  );
  assertEquals((await Array.fromAsync(reading)).map(names), [["a", "b"]]);
});

Deno.test("what arrives while the last is being recorded is handed over next", async () => {
  const gate = Promise.withResolvers<void>();
  const late: Read = async (rows, signal) => {
    await gate.promise;
    return await zero(rows, signal);
  };
  const reading = readChains(
    [chain("a"), chain("b")],
    open({ a: zero, b: late }),
    new Map(),
    never,
  );
  const handed: string[][] = [];
  for await (const reads of reading) {
    handed.push(names(reads));
    gate.resolve();
    // Long enough a record for the other chain to arrive meanwhile.
    for (let i = 0; i < 100; i++) await Promise.resolve();
  }
  assertEquals(handed, [["a"], ["b"]]);
});

Deno.test("a reader that ignores the abort is left behind, its rows unread", async () => {
  const stop = new AbortController();
  const deaf: Read = () => new Promise(() => {});
  const reading = readChains([chain("a")], open({ a: deaf }), new Map(), stop.signal);
  stop.abort();
  const [reads] = await Array.fromAsync(reading);
  const [result] = reads![0]!.results;
  assertEquals(result, {
    id: "row of a",
    error: { code: "aborted", message: "the chain gave no answer in time", scope: "row" },
  });
});

Deno.test("a chain is opened once a run, however many batches it is in", async () => {
  const opened: string[] = [];
  const readers = new Map();
  for (let batch = 0; batch < 3; batch++) {
    await Array.fromAsync(readChains([chain("a")], open({ a: zero }, opened), readers, never));
  }
  assertEquals(opened, ["a"]);
});
