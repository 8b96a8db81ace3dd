import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import type { WalletBalance } from "../../functions/balance-sync/chains/adapter.ts";
import { codeOf, errorOf, native, token, valueOf } from "./conformance.ts";
import { type EvmWorld, randomAddress, rpcError, startEvmWorld } from "./evm_world.ts";
import { failures } from "./proxy.ts";

const never = new AbortController().signal;
const multicall3 = "0xca11bde05977b3631167028862be2a173976ca11";

interface Rpc {
  id: number;
  method: string;
  params: [{ to?: string; data: string }, string];
}

const calls = (body: string): Rpc[] => [JSON.parse(body)].flat();
const targets = (world: EvmWorld) =>
  world.proxy.seen.flatMap(calls).map(({ method, params }) =>
    method === "eth_call" ? params[0].to ?? "constructor" : method
  );

/** Some wallets with native and token balances, and what they hold by row. */
async function holders(world: EvmWorld, count: number, tokens = 2) {
  const wallets = await Promise.all(
    Array.from({ length: count }, (_, i) => world.wallet(BigInt(i) + 1n)),
  );
  const contracts: string[] = [];
  for (let t = 0; t < tokens; t++) {
    contracts.push(await world.token(wallets.map((wallet, i) => [wallet, BigInt(1000 * t + i)])));
  }
  const expected = new Map<WalletBalance, bigint>();
  wallets.forEach((wallet, i) => {
    expected.set(native(wallet), BigInt(i) + 1n);
    contracts.forEach((contract, t) => expected.set(token(wallet, contract), BigInt(1000 * t + i)));
  });
  return { rows: [...expected.keys()], expected, wallets, contracts };
}

function assertValues(
  results: Parameters<typeof valueOf>[0],
  expected: Map<WalletBalance, bigint>,
) {
  for (const [row, raw] of expected) assertEquals(valueOf(results, row), raw);
}

Deno.test("which way an EVM chain is read depends on what it can do", async (t) => {
  await t.step("constructor code: one request, whatever the tokens", async () => {
    await using world = await startEvmWorld({ multicall3: false });
    const { rows, expected } = await holders(world, 20);
    const reader = await world.open();
    assertValues(await reader.read(rows, never), expected);
    assertEquals([reader.rpcCalls, targets(world)], [1, ["constructor"]]);
  });

  await t.step(
    "Multicall3 where the node takes no constructor code, one token a call",
    async () => {
      await using world = await startEvmWorld({ constructorCode: false });
      const { rows, expected, contracts } = await holders(world, 20);
      const reader = await world.open();
      assertValues(await reader.read(rows, never), expected);
      assert(targets(world).includes(multicall3));
      const before = world.proxy.seen.length;
      assertValues(await reader.read(rows, never), expected);
      assertEquals(targets(world).slice(-3), [multicall3, multicall3, multicall3]);
      const sent = world.proxy.seen.slice(before);
      assertEquals(sent.length, 3, "the way found is kept for the run");
      for (const body of sent) {
        assert(contracts.filter((contract) => body.includes(contract.slice(2))).length <= 1);
      }
    },
  );

  await t.step("plain reads at one block where there is neither", async () => {
    await using world = await startEvmWorld({ multicall3: false, constructorCode: false });
    const { rows, expected } = await holders(world, 20);
    const reader = await world.open();
    assertValues(await reader.read(rows, never), expected);
    assert(targets(world).includes("eth_getBalance"));
    const tags = world.proxy.seen.flatMap(calls)
      .filter(({ method }) => method === "eth_getBalance")
      .map(({ params }) => params[1]);
    assert(tags.every((tag) => /^0x[0-9a-f]+$/.test(tag)), "reads name the block's number");
  });

  await t.step("plain reads where other code lies at Multicall3's address", async () => {
    await using world = await startEvmWorld({ multicall3: false, constructorCode: false });
    const { rows, expected } = await holders(world, 3);
    await world.node.setCode(multicall3, world.contracts.Returns64Bytes!.runtime);
    assertValues(await (await world.open()).read(rows, never), expected);
    assert(targets(world).includes("eth_getBalance"));
    assert(!targets(world).includes(multicall3));
  });

  await t.step("the Multicall3 that the operator names, wherever it lies", async () => {
    await using world = await startEvmWorld();
    const { rows, expected } = await holders(world, 3);
    const elsewhere = randomAddress();
    await world.node.setCode(
      elsewhere,
      await world.node.rpc("eth_getCode", [multicall3, "latest"]),
    );
    await world.node.setCode(multicall3, "0x");
    const reader = await world.open({ multicall_address: elsewhere });
    assertValues(await reader.read(rows, never), expected);
    assertEquals(new Set(targets(world)), new Set(["eth_getCode", elsewhere]));
  });

  await t.step("constructor code where the operator names an empty address", async () => {
    await using world = await startEvmWorld();
    const { rows, expected } = await holders(world, 3);
    const reader = await world.open({ multicall_address: randomAddress() });
    assertValues(await reader.read(rows, never), expected);
    assertEquals(targets(world).at(-1), "constructor");
  });
});

Deno.test("a hostile token harms nobody where calls share one state", async () => {
  await using world = await startEvmWorld({ constructorCode: false });
  const wallet = await world.wallet(123n);
  const good = await world.token([[wallet, 1_234_567n]]);
  const evil = (await world.badToken("contaminates", good))!;
  const burner = (await world.badToken("burns gas"))!;
  const bomb = (await world.badToken("returns 2 MB"))!;
  const hostile = [evil, burner, bomb].flatMap((contract) =>
    Array.from({ length: 30 }, () => token(wallet, contract))
  );
  const neighbours = [native(wallet), token(wallet, good)];
  const reader = await world.open();
  const results = await reader.read([...hostile, ...neighbours], never);
  assertEquals(neighbours.map((row) => valueOf(results, row)), [123n, 1_234_567n]);
  for (const row of hostile.slice(30)) assert(codeOf(results, row));
  const first = reader.rpcCalls;
  assertLess(first, 60, "a burner of 30 rows is not asked for 30 times");
  await reader.read([...hostile, ...neighbours], never);
  assertLess(reader.rpcCalls - first, 10, "who is guilty is remembered for the run");
});

Deno.test("gas: who needs more gets more, who wastes it is left alone", async (t) => {
  await using world = await startEvmWorld();
  const { rows, expected } = await holders(world, 10, 1);

  await t.step("a token that lies when short of gas is read with enough", async () => {
    const liar = await world.node.deploy(world.contracts.LiesWhenShortOfGas!);
    const row = token(randomAddress(), liar);
    const results = await (await world.open()).read([row, ...rows], never);
    assertEquals(valueOf(results, row), 77n);
    assertValues(results, expected);
  });

  await t.step(
    "one owner for whom a token burns gas does not spoil it for the others",
    async () => {
      const [greedy, ...others] = Array.from({ length: 9 }, randomAddress) as [string, ...string[]];
      const contract = await world.node.deploy(world.contracts.BurnsGasForOne!, [greedy]);
      const mine = token(greedy, contract);
      const theirs = others.map((owner) => token(owner, contract));
      const reader = await world.open();
      for (let batch = 0; batch < 2; batch++) {
        const results = await reader.read([mine, ...theirs, ...rows], never);
        assertEquals(codeOf(results, mine), "out_of_gas");
        for (const row of theirs) assertGreater(valueOf(results, row), 0n);
        assertValues(results, expected);
      }
    },
  );

  await t.step("a token that burns it for everybody is condemned after four owners", async () => {
    const burner = (await world.badToken("burns gas"))!;
    const burning = Array.from({ length: 40 }, () => token(randomAddress(), burner));
    const reader = await world.open();
    const results = await reader.read([...burning, ...rows], never);
    for (const row of burning) assertEquals(codeOf(results, row), "out_of_gas");
    assertValues(results, expected);
    const first = reader.rpcCalls;
    assertLess(first, 10);
    await reader.read([...burning, ...rows], never);
    assertEquals(reader.rpcCalls, first + 1);
  });

  await t.step("a node that grants little gas takes more requests for the same rows", async () => {
    await using poor = await startEvmWorld({ args: ["--gas-limit", "2000000"] });
    const { rows, expected } = await holders(poor, 60, 3);
    const reader = await poor.open();
    assertValues(await reader.read(rows, never), expected);
    assertGreater(reader.rpcCalls, 1);
  });
});

Deno.test("a request that the node finds too large is halved, and the size remembered", async () => {
  await using world = await startEvmWorld();
  const { rows, expected } = await holders(world, 100, 1);
  let refused = 0;
  world.proxy.behave(({ body, forward }) => {
    if (body.length < 8_000) return forward();
    refused++;
    return new Response("Request Entity Too Large", { status: 413 });
  });
  const reader = await world.open();
  assertValues(await reader.read(rows, never), expected);
  assertGreater(refused, 0);
  const before = refused;
  assertValues(await reader.read(rows, never), expected);
  assertEquals(refused, before);
});

Deno.test("the block is the L2's own on Arbitrum and Orbit", async () => {
  for (const constructorCode of [true, false]) {
    await using world = await startEvmWorld({ constructorCode });
    await world.node.setCode(
      "0x0000000000000000000000000000000000000064",
      world.contracts.ArbSys!.runtime,
    );
    const [result] = await (await world.open()).read([native(randomAddress())], never);
    assert(result && "block" in result);
    assertEquals(result && "block" in result && result.block, 300_000_007n);
  }
});

Deno.test("block_tag decides at which block is read", async () => {
  await using world = await startEvmWorld({ args: ["--slots-in-an-epoch", "4"] });
  const wallet = await world.wallet(5n);
  await world.node.mine(20);
  for (const multicall_address of [undefined, multicall3]) {
    const blocks: bigint[] = [];
    for (const block_tag of ["latest", "safe", "finalized"]) {
      const settings = { block_tag, ...multicall_address && { multicall_address } };
      const [result] = await (await world.open(settings)).read([native(wallet)], never);
      blocks.push(result && "block" in result ? result.block : -1n);
    }
    const [latest] = blocks as [bigint];
    assertEquals(blocks, [latest, latest - 4n, latest - 8n]);
  }
});

Deno.test("the chain id is the first answer's where none is set, and later nodes must agree", async () => {
  await using one = await startEvmWorld({ chainId: 1 });
  await using other = await startEvmWorld({ chainId: 2 });
  const wallet = await one.wallet(7n);
  await other.node.setBalance(wallet, 8n);
  const row = native(wallet);
  const reader = await one.open({ fallback_rpc_urls: [other.proxy.url] });
  assertEquals(valueOf(await reader.read([row], never), row), 7n);
  one.proxy.behave(failures.unauthorized);
  const error = errorOf(await reader.read([row], never), row);
  assertEquals(
    error?.message,
    "endpoint 1 of 2 answered HTTP 401: it refuses our key or address; " +
      "endpoint 2 of 2 is a node of chain 2: expected 1",
  );
  const strict = await one.open({ evm_chain_id: "0x2", fallback_rpc_urls: [other.proxy.url] });
  assertEquals(valueOf(await strict.read([row], never), row), 8n);
});

Deno.test("a node two minutes behind another answer of the run is stale, one less behind is not", async () => {
  for (const [seconds, code] of [[125, "stale_node"], [115, undefined]] as const) {
    await using ahead = await startEvmWorld();
    await using behind = await startEvmWorld();
    const time = Math.floor(Date.now() / 1000) + 1000;
    await ahead.node.rpc("evm_setNextBlockTimestamp", [time]);
    await behind.node.rpc("evm_setNextBlockTimestamp", [time - seconds]);
    await ahead.node.mine();
    await behind.node.mine();
    const row = native(await ahead.wallet(1n));
    await behind.node.setBalance(row.address, 1n);
    const reader = await ahead.open({ fallback_rpc_urls: [behind.proxy.url] });
    assertEquals(valueOf(await reader.read([row], never), row), 1n);
    ahead.proxy.behave(failures.html);
    const error = errorOf(await reader.read([row], never), row);
    if (code) {
      assert(error?.message.includes("s behind another answer of this run"), error?.message);
    } else assertEquals(error, undefined);
  }
});

Deno.test("a node that has not got its own block yet is asked again", async () => {
  await using world = await startEvmWorld();
  const row = native(await world.wallet(3n));
  for (const message of ["header not found", "missing trie node abc", "Unknown block"]) {
    let asked = 0;
    world.proxy.behave(({ forward }) => asked++ === 0 ? rpcError(-32000, message) : forward());
    assertEquals(valueOf(await (await world.open()).read([row], never), row), 3n);
    assertEquals(asked, 2);
  }
});

Deno.test("a node that fails at everything is one failure of the chain, after a few requests", async () => {
  await using world = await startEvmWorld();
  const { rows, expected } = await holders(world, 80);
  const reader = await world.open();
  for (const status of [200, 500]) {
    world.proxy.behave(() => rpcError(-32603, "internal error at https://x.example/key", status));
    const before = reader.rpcCalls;
    const results = await reader.read(rows, never);
    for (const row of rows) {
      assertEquals(errorOf(results, row), {
        code: "rpc_bad_response",
        message: "endpoint 1 of 1 answered RPC error -32603",
        scope: "chain",
      });
    }
    assertLess(reader.rpcCalls - before, 6);
  }
  world.proxy.behave();
  assertValues(await reader.read(rows, never), expected);
  assertEquals(targets(world).at(-1), "constructor", "an ill node is not taken for an unable one");
});

Deno.test("a constructor call that fails for one row alone leaves the others their values", async () => {
  await using world = await startEvmWorld();
  const { rows, expected } = await holders(world, 60);
  const poison = rows[77]!.address.slice(2).toLowerCase();
  world.proxy.behave(({ body, forward }) =>
    body.includes(poison) ? rpcError(-32603, "internal error") : forward()
  );
  const results = await (await world.open()).read(rows, never);
  for (const [row, raw] of expected) {
    if (row.address.slice(2).toLowerCase() === poison) {
      assertEquals(codeOf(results, row), "rpc_bad_response");
    } else assertEquals(valueOf(results, row), raw);
  }
});

Deno.test("a run stopped between two requests keeps what the first one read", async () => {
  await using world = await startEvmWorld();
  const { rows, expected } = await holders(world, 2, 1);
  const stop = new AbortController();
  let asked = 0;
  world.proxy.behave((exchange) => {
    if (asked++ === 0) return exchange.forward();
    stop.abort();
    return failures.hang(exchange);
  });
  const reader = await world.open({ calls_per_request: 2, max_parallel_requests: 1 });
  const results = await reader.read(rows, stop.signal);
  const [read, unread] = [
    rows.filter((row) => codeOf(results, row) === undefined),
    rows.filter((row) => codeOf(results, row) === "aborted"),
  ];
  assertEquals([read.length, unread.length], [2, 2]);
  for (const row of read) assertEquals(valueOf(results, row), expected.get(row));
});

Deno.test("an answer to another question is no answer", async () => {
  await using world = await startEvmWorld();
  const [a, b] = [await world.wallet(1n), await world.wallet(2n)];
  const withId = async (response: Response, id: number) =>
    Response.json({ ...await response.json(), id });
  const reader = await world.open();
  const first = native(a), second = native(b);
  let old: Response | undefined;
  world.proxy.behave(async ({ body, forward }) => {
    const answer = await forward();
    old ??= answer.clone();
    return await withId(old.clone(), calls(body)[0]!.id);
  });
  assertEquals(valueOf(await reader.read([first], never), first), 1n);
  assertEquals(codeOf(await reader.read([second], never), second), "rpc_bad_response");
  world.proxy.behave(async ({ forward }) => await withId(await forward(), 0));
  assertEquals(codeOf(await reader.read([second], never), second), "rpc_bad_response");
});

Deno.test("a contract's words are shown printable and short", async () => {
  await using world = await startEvmWorld();
  const wallet = randomAddress();
  const reverting = async (text: string) => {
    const encoded = new TextEncoder().encode(text);
    const hex = Array.from(encoded, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const word = (value: number) => value.toString(16).padStart(64, "0");
    const padded = hex.padEnd(Math.ceil(hex.length / 64) * 64, "0");
    const data = "08c379a0" + word(32) + word(encoded.length) + padded;
    const address = randomAddress();
    // Copies what follows its 14 bytes of code and reverts with it.
    const size = (data.length / 2).toString(16).padStart(4, "0");
    await world.node.setCode(address, `0x61${size}600e60003961${size}6000fd${data}`);
    return address;
  };
  const said: Record<string, string> = {
    paused: "balanceOf reverted: paused",
    "a\nb\u0000c\u202Ed": "balanceOf reverted: abcd",
    "see https://evil.example/?key": "balanceOf reverted: see https://evil.example/[redacted]",
    "": "balanceOf reverted: no reason given",
    ["x".repeat(500)]: `balanceOf reverted: ${"x".repeat(32)}`,
  };
  for (const [text, message] of Object.entries(said)) {
    const row = token(wallet, await reverting(text));
    assertEquals(errorOf(await (await world.open()).read([row], never), row)?.message, message);
  }
});
