import { assert, assertEquals, assertLess } from "@std/assert";
import { Interface } from "ethers";
import { TronWeb } from "tronweb";
import type { ReadResult, WalletBalance } from "../../functions/balance-sync/chains/adapter.ts";
import { callData } from "../../functions/balance-sync/chains/balance_reader.ts";
import { type Failure, failures } from "../../local/tron_failures.ts";
import { startTronNode, TRON_MULTICALL3 } from "../../local/tron_node.ts";
import { codeOf, errorOf, native, token, valueOf } from "./conformance.ts";
import { startTronWorld, type TronOptions, type TronWorld } from "./tron_world.ts";

const never = new AbortController().signal;
const readerCode = callData("");

interface Trigger {
  contract_address?: string;
  data: string;
}

/** Rows (of constructor code) or calls (of an aggregate3) in every constant call so far. */
function sizes({ node }: TronWorld): number[] {
  return node.requests.filter(({ path }) => path.endsWith("/triggerconstantcontract"))
    .map(({ body }) => {
      const { contract_address, data }: Trigger = JSON.parse(body);
      if (contract_address === undefined) return (data.length - readerCode.length - 8) / 80;
      return data.startsWith("82ad56cb") ? Number(`0x${data.slice(72, 136)}`) : 1;
    });
}

/** Wallets with native and token balances, and what each row holds. */
async function holders(world: TronWorld, count: number, tokens = 2) {
  const wallets = await Promise.all(
    Array.from({ length: count }, (_, i) => world.wallet(BigInt(i) + 1n)),
  );
  const expected = new Map<WalletBalance, bigint>();
  wallets.forEach((wallet, i) => expected.set(native(wallet), BigInt(i) + 1n));
  for (let t = 0; t < tokens; t++) {
    const contract = await world.token(wallets.map((wallet, i) => [wallet, BigInt(100 * t + i)]));
    wallets.forEach((wallet, i) => expected.set(token(wallet, contract), BigInt(100 * t + i)));
  }
  return { rows: [...expected.keys()], expected };
}

function assertValues(results: ReadResult[], expected: Map<WalletBalance, bigint>) {
  for (const [row, raw] of expected) assertEquals(valueOf(results, row), raw);
}

Deno.test("which way TRON is read depends on what the node can do", async (t) => {
  await t.step("constructor code: 50 rows a request, whatever the tokens", async () => {
    await using world = await startTronWorld({ multicall3: false });
    const { rows, expected } = await holders(world, 50, 3);
    const reader = await world.open();
    assertValues(await reader.read(rows, never), expected);
    assertEquals([reader.rpcCalls, sizes(world)], [4, [50, 50, 50, 50]]);
  });

  await t.step("Multicall3 else: 50 calls a request, the header's with them", async () => {
    await using world = await startTronWorld({ constructorCode: false });
    const { rows, expected } = await holders(world, 47);
    const reader = await world.open();
    await reader.read(rows.slice(0, 1), never);
    const found = world.node.requests.length;
    assertValues(await reader.read(rows, never), expected);
    assertEquals(sizes(world).slice(found), [50, 50, 50]);
  });

  await t.step("call by call where there is neither", async () => {
    await using world = await startTronWorld({ constructorCode: false, multicall3: false });
    const { rows, expected } = await holders(world, 2);
    const reader = await world.open();
    assertValues(await reader.read(rows, never), expected);
    const before = world.node.requests.length;
    assertValues(await reader.read(rows, never), expected);
    assertEquals(world.node.requests.slice(before).map(({ path }) => path.split("/")[2]), [
      "getnowblock",
      "getaccount",
      "getaccount",
      "triggerconstantcontract",
      "triggerconstantcontract",
      "triggerconstantcontract",
      "triggerconstantcontract",
      "getnowblock",
    ]);
  });

  await t.step("the Multicall3 that the operator names, in any spelling", async () => {
    await using world = await startTronWorld();
    const { rows, expected } = await holders(world, 2);
    const address = world.node.toTronAddress(TRON_MULTICALL3);
    for (const multicall_address of [address, ...world.spellings(address)]) {
      const before = world.node.requests.length;
      const reader = await world.open({ multicall_address });
      assertValues(await reader.read(rows, never), expected);
      for (const { body } of world.node.requests.slice(before)) {
        assertEquals(JSON.parse(body).contract_address, `41${TRON_MULTICALL3.slice(2)}`);
      }
    }
  });

  await t.step("constructor code where the operator names an empty address", async () => {
    await using world = await startTronWorld();
    const { rows, expected } = await holders(world, 2);
    const multicall_address = await world.wallet();
    assertValues(await (await world.open({ multicall_address })).read(rows, never), expected);
  });

  await t.step("a Multicall3 that is no TRON address is a wrong setting", async () => {
    await using world = await startTronWorld();
    const row = native(await world.wallet());
    const reader = await world.open({ multicall_address: "TEazPvZwDjDtFeJupyo7QunvnrnUjPH8EE" });
    const error = errorOf(await reader.read([row], never), row);
    assertEquals([error?.code, error?.scope], ["invalid_chain_settings", "chain"]);
    assertEquals(world.node.requests.length, 0);
  });
});

for (const constructorCode of [true, false]) {
  const way = constructorCode ? "constructor code" : "Multicall3";

  Deno.test(`TRON by ${way}: calls beyond the CPU's time are halved`, async (t) => {
    await using world = await startTronWorld({ constructorCode });
    const { rows, expected } = await holders(world, 45, 1);
    const reader = await world.open();
    await reader.read(rows.slice(0, 1), never);

    await t.step("until they fit", async () => {
      world.node.cpuLimit = 14;
      const before = world.node.requests.length;
      assertValues(await reader.read(rows, never), expected);
      assertLess(world.node.requests.length - before, 24);
    });

    await t.step("and what fits is known for the run", async () => {
      const before = sizes(world).length;
      assertValues(await reader.read(rows, never), expected);
      const sent = sizes(world).slice(before);
      assert(sent.every((size) => size <= 14), `${sent}`);
    });

    await t.step("down to one", async () => {
      // An aggregate of one row is four calls, three of them the header's.
      world.node.cpuLimit = constructorCode ? 1 : 4;
      const few = new Map([...expected].slice(-3));
      assertValues(await reader.read([...few.keys()], never), few);
    });

    await t.step("and one that does not fit is an error, not a zero", async () => {
      world.node.cpuLimit = constructorCode ? 0 : 3;
      const row = rows.at(-1)!;
      assertEquals(codeOf(await reader.read([row], never), row), "out_of_gas");
    });
  });
}

Deno.test("a token that burns all energy costs few requests and no neighbour", async () => {
  for (const constructorCode of [true, false]) {
    await using world = await startTronWorld({ constructorCode });
    const { rows, expected } = await holders(world, 10);
    const burner = (await world.badToken("burns gas"))!;
    const owner = await world.wallet();
    const burning = Array.from({ length: 30 }, () => token(owner, burner));
    const reader = await world.open();
    const results = await reader.read([...burning, ...rows], never);
    assertValues(results, expected);
    for (const row of burning) assertEquals(codeOf(results, row), "out_of_gas");
    assertLess(reader.rpcCalls, 40);
    const first = reader.rpcCalls;
    await reader.read(burning, never);
    assertEquals(reader.rpcCalls, first, "a condemned token is not asked again in the run");
  }
});

Deno.test("too many requests end a TRON endpoint for the run", async (t) => {
  await using world = await startTronWorld();
  const { rows, expected } = await holders(world, 3);
  for (const [name, failure] of Object.entries(failures)) {
    if (!/^rateLimited|^lackOfResources/.test(name)) continue;
    await t.step(`${name}: one request, then silence`, async () => {
      const reader = await world.open();
      world.node.fail(failure);
      for (let batch = 0; batch < 2; batch++) {
        const results = await reader.read(rows, never);
        for (const row of rows) {
          const error = errorOf(results, row);
          assertEquals([error?.code, error?.scope], ["rpc_rate_limited", "chain"]);
        }
        world.node.fail();
      }
      assertEquals(reader.rpcCalls, 1);
    });
  }

  await t.step("a fallback at another provider goes on", async () => {
    await using other = await startTronNode({ evm: world.node.evm });
    const reader = await world.open({ fallback_rpc_urls: [other.url] });
    world.node.fail(failures.rateLimited403);
    assertValues(await reader.read(rows, never), expected);
    assertValues(await reader.read(rows, never), expected);
    world.node.fail();
    assertEquals(other.requests.length, 2);
    assertEquals(reader.rpcCalls, 3);
  });
});

Deno.test("TRX and tokens are of one side and of the block that is named", async (t) => {
  const ways: TronOptions[] = [
    {},
    { constructorCode: false },
    { constructorCode: false, multicall3: false },
  ];
  for (const way of ways) {
    await using world = await startTronWorld(way);
    const { evm } = world.node;
    const wallet = await world.wallet(5n);
    const contract = await world.token([[wallet, 6n]]);
    await evm.mine(20);
    const owner = evmAddress(wallet);
    await evm.setBalance(owner, 50n);
    await setToken(world, contract, owner, 60n);
    await evm.mine(5);
    world.node.solidLag = 10;
    const head = BigInt(await evm.rpc<string>("eth_blockNumber"));
    const rows = [native(wallet), token(wallet, contract)];

    for (
      const [block_tag, side, values, block] of [
        ["latest", "wallet", [50n, 60n], head],
        ["safe", "walletsolidity", [5n, 6n], head - 10n],
        ["finalized", "walletsolidity", [5n, 6n], head - 10n],
      ] as const
    ) {
      await t.step(`${block_tag}, of ${JSON.stringify(way)}`, async () => {
        const before = world.node.requests.length;
        const results = await (await world.open({ block_tag })).read(rows, never);
        assertEquals(rows.map((row) => valueOf(results, row)), [...values]);
        assertEquals(results.map((result) => "block" in result && result.block), [block, block]);
        for (const { path } of world.node.requests.slice(before)) {
          assert(path.startsWith(`/${side}/`) || path === "/wallet/getblockbynum", path);
        }
      });
    }
  }
});

Deno.test("call by call, the block named is one that every balance has seen", async (t) => {
  await using world = await startTronWorld({ constructorCode: false, multicall3: false });
  const { evm } = world.node;
  const row = native(await world.wallet(5n));
  const reader = await world.open();
  await reader.read([row], never);

  await t.step("the one before the read, where the chain moves on meanwhile", async () => {
    const before = BigInt(await evm.rpc<string>("eth_blockNumber"));
    world.node.fail(async (answer) => {
      await evm.mine(3);
      return await answer();
    }, "getaccount");
    const [result] = await reader.read([row], never);
    assertEquals(result && "block" in result && result.block, before);
  });

  await t.step("the one after it, where a balancer changes to a node further behind", async () => {
    world.node.fail(async (answer) => {
      world.node.fail(() => answer(), "getaccount");
      const now = await answer();
      world.node.fail(behind, "getnowblock");
      return now;
    }, "getaccount");
    const behind: Failure = async (answer) => {
      const block = await (await answer()).json();
      const number = --block.block_header.raw_data.number;
      block.blockID = number.toString(16).padStart(16, "0") + block.blockID.slice(16);
      return Response.json(block);
    };
    const head = BigInt(await evm.rpc<string>("eth_blockNumber"));
    const [result] = await reader.read([row], never);
    assertEquals(result && "block" in result && result.block, head - 1n);
  });
});

Deno.test("a key for TRON reaches its node as a header, and nothing else does", async () => {
  await using world = await startTronWorld();
  const row = native(await world.wallet(1n));
  let headers = new Headers();
  world.proxy.behave(({ request, forward }) => {
    headers = new Headers(request.headers);
    return forward();
  });
  const reader = await world.open({ rpc_headers: { "TRON-PRO-API-KEY": "a-key-of-tron-grid" } });
  assertEquals(valueOf(await reader.read([row], never), row), 1n);
  assertEquals(headers.get("tron-pro-api-key"), "a-key-of-tron-grid");
  assertEquals(headers.get("user-agent")?.includes("axios"), false);
});

function evmAddress(address: string): string {
  return "0x" + TronWeb.address.toHex(address).slice(2);
}

async function setToken({ evm }: TronWorld, contract: string, owner: string, raw: bigint) {
  const ledger = Interface.from(evm.contracts.Ledger!.abi as string[]);
  const [from] = await evm.node.rpc<string[]>("eth_accounts");
  const data = ledger.encodeFunctionData("set", [[owner], [raw]]);
  await evm.node.rpc("eth_sendTransactionSync", [{ from, to: evmAddress(contract), data }]);
}
