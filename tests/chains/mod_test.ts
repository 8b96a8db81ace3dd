import { assertEquals, assertMatch } from "@std/assert";
import type {
  Chain,
  ChainFamily,
  ReadResult,
} from "../../functions/balance-sync/chains/adapter.ts";
import { ChainFailure } from "../../functions/balance-sync/chains/http.ts";
import { guard, openChain } from "../../functions/balance-sync/chains/mod.ts";
import { codeOf, errorOf, native, valueOf } from "./conformance.ts";

const never = new AbortController().signal;

const chain: Chain = {
  chain_id: "c",
  name: "test",
  adapter: "evm",
  rpc_url: "http://127.0.0.1:1",
  settings: {},
};

/** A family whose reads do what the test says. */
function family(read: (ids: string[]) => Promise<ReadResult[]>): ChainFamily {
  return {
    parseAddress: (address) => address,
    open: () => ({ rpcCalls: 0, read: (rows) => read(rows.map(({ id }) => id)) }),
  };
}

Deno.test("a chain of no known family answers every row with unknown_adapter", async () => {
  for (const adapter of ["solana", "", "toString", "__proto__"]) {
    const reader = await openChain({ ...chain, adapter });
    const rows = [native("a"), native("b")];
    const results = await reader.read(rows, never);
    for (const row of rows) {
      assertEquals(errorOf(results, row), {
        code: "unknown_adapter",
        message: `no chain family is called "${adapter}"`,
        scope: "chain",
      });
    }
    assertEquals(await reader.read([], never), []);
  }
});

Deno.test("settings that cannot be used are every row's error, and no request is sent", async () => {
  const zero = "0x0000000000000000000000000000000000000000";
  const settings = [
    { evm_chain_id: "mainnet" },
    { evm_chain_id: -1 },
    { block_tag: "pending" },
    { multicall_address: "0x12" },
    { calls_per_request: 0 },
    { rpc_headers: { "x-key": null } },
  ];
  const chains = [
    ...["", "file:///etc/passwd", "not a url"].map((rpc_url) => ({ ...chain, rpc_url })),
    ...settings.map((settings) => ({ ...chain, settings })),
  ];
  for (const chain of chains) {
    const reader = await openChain(chain);
    const row = native(zero);
    const error = errorOf(await reader.read([row], never), row);
    assertEquals([error?.code, error?.scope], ["invalid_chain_settings", "chain"]);
    assertEquals(reader.rpcCalls, 0);
  }
});

Deno.test("each row gets one result, whatever a family does", async () => {
  const rows = [native("a"), native("b")];
  const [a, b] = rows.map(({ id }) => id) as [string, string];
  const good = { id: a, raw: 1n, block: 1n };

  const forgetful = guard(family(() => Promise.resolve([good])), chain);
  const left = await forgetful.read(rows, never);
  assertEquals(valueOf(left, rows[0]!), 1n);
  assertEquals(errorOf(left, rows[1]!)?.message, "the adapter gave no result for this balance");

  const chatty = guard(family(() => Promise.resolve([good, { ...good, id: "x" }, good])), chain);
  assertEquals((await chatty.read(rows, never)).map(({ id }) => id), [a, b]);

  for (const raw of [-1n, 2n ** 256n, 1 as unknown as bigint, undefined as unknown as bigint]) {
    const lying = guard(family(() => Promise.resolve([{ ...good, raw }])), chain);
    assertEquals(codeOf(await lying.read(rows, never), rows[0]!), "rpc_bad_response");
  }

  const failing = guard(
    family(() => Promise.reject(new ChainFailure("rpc_timeout", "late"))),
    chain,
  );
  assertEquals(codeOf(await failing.read(rows, never), rows[1]!), "rpc_timeout");

  const secret = new TypeError("fetch failed: https://node.example/v2/canaryKey");
  const broken = guard(family(() => Promise.reject(secret)), chain);
  const results = await broken.read(rows, never);
  assertMatch(errorOf(results, rows[0]!)?.message ?? "", /unexpected TypeError$/);
});

Deno.test("text of a family's error is redacted on its way out", async () => {
  const error = {
    code: "call_reverted",
    message: "said https://node.example/v2/canaryKey",
    scope: "row",
  } as const;
  const row = native("a");
  const reader = guard(family(() => Promise.resolve([{ id: row.id, error }])), chain);
  const [result] = await reader.read([row], never);
  assertEquals(result, {
    id: row.id,
    error: { ...error, message: "said https://node.example/[redacted]" },
  });
});
