import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { TronWeb } from "tronweb";
import { tokenContract } from "../../local/contracts/mod.ts";
import { startEvmNode } from "../../local/evm_node.ts";
import { failures } from "../../local/tron_failures.ts";
import { startTronNode, TRON_MULTICALL3 } from "../../local/tron_node.ts";
import { Interface } from "ethers";

const CHAIN_ID = 728126428;
const HOLDER = "0x00000000000000000000000000000000000000aa";
const NOBODY = "0x00000000000000000000000000000000000000bb";
const ZERO_ADDRESS = "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb";
const ODD_SUN = 9_007_199_254_740_993n;
const balanceOf = [{
  type: "function",
  name: "balanceOf",
  stateMutability: "view",
  inputs: [{ name: "owner", type: "address" }],
  outputs: [{ name: "", type: "uint256" }],
}] as const;
const multicall3 = new Interface([
  "function aggregate3((address target, bool allowFailure, bytes data)[]) returns ((bool success, bytes data)[])",
  "function getEthBalance(address) view returns (uint256)",
  "function getChainId() view returns (uint256)",
  "function getBlockNumber() view returns (uint256)",
]);

/** A node where HOLDER has ODD_SUN and 1,000,007 of a token, and the TronWeb that talks to it. */
async function setup() {
  const evm = await startEvmNode({ chainId: CHAIN_ID });
  const node = await startTronNode({ evm });
  const artifact = await tokenContract();
  const token = await evm.deploy(artifact, ["Tether USD", "USDT", 6]);
  const [from] = await evm.rpc<string[]>("eth_accounts");
  const contract = Interface.from(artifact.abi as string[]);
  const send = (method: string, args: unknown[]) =>
    evm.rpc("eth_sendTransactionSync", [{
      from,
      to: token,
      data: contract.encodeFunctionData(method, args),
    }]);
  await send("mint", [HOLDER, 1_000_007n]);
  await evm.setBalance(HOLDER, ODD_SUN);
  const tronWeb = new TronWeb({ fullHost: node.url });
  return {
    node,
    tronWeb,
    send,
    token: node.toTronAddress(token),
    holder: node.toTronAddress(HOLDER),
    nobody: node.toTronAddress(NOBODY),
    post: async (path: string, body: unknown) => {
      const response = await fetch(node.url + path, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
      });
      return { status: response.status, text: await response.text() };
    },
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await evm[Symbol.asyncDispose]();
    },
  };
}

Deno.test("a TRON node as TronWeb knows it", async (t) => {
  await using world = await setup();
  const { node, tronWeb, token, holder, nobody, post } = world;

  await t.step("an account's balance is a bare number beyond 2^53", async () => {
    const { text } = await post("/wallet/getaccount", { address: `41${HOLDER.slice(2)}` });
    assertStringIncludes(text, `"balance":9007199254740993,`);
    assertEquals(await tronWeb.trx.getBalance(holder), Number(ODD_SUN));
  });

  await t.step("int64_as_string quotes every int64 of a GET", async () => {
    assertEquals(await tronWeb.trx.raw.getBalance(holder), String(ODD_SUN));
    const account = await tronWeb.trx.raw.getAccount(holder);
    assertEquals(typeof account.create_time, "string");
  });

  await t.step("an address nothing ever reached has no account", async () => {
    const { status, text } = await post("/wallet/getaccount", { address: `41${NOBODY.slice(2)}` });
    assertEquals([status, text], [200, "{}\n"]);
    assertEquals(await tronWeb.trx.getBalance(nobody), 0);
  });

  await t.step("an account without a sun leaves the balance out", async () => {
    node.registered.add(NOBODY);
    const account = await tronWeb.trx.getAccount(nobody);
    node.registered.delete(NOBODY);
    assertEquals(account.address, `41${NOBODY.slice(2)}`);
    assertEquals("balance" in account, false);
  });

  await t.step("a contract's account says that it is one", async () => {
    const account = await tronWeb.trx.getAccount(token);
    assertEquals(account.type as unknown, "Contract");
  });

  await t.step("visible takes and gives base58", async () => {
    const { text } = await post("/wallet/getaccount", { address: holder, visible: true });
    assertEquals(JSON.parse(text).address, holder);
    const wrong = holder.slice(0, -1) + (holder.endsWith("1") ? "2" : "1");
    assertEquals(
      (await post("/wallet/getaccount", { address: wrong, visible: true })).text,
      '{"Error":"class java.lang.NullPointerException : null"}\n',
    );
  });

  await t.step("a body that is no JSON and an address that is no hex are Errors", async () => {
    assertStringIncludes(
      (await post("/wallet/getaccount", "{")).text,
      "org.tron.json.JSONException",
    );
    assertStringIncludes((await post("/wallet/getaccount", { address: "zz" })).text, "INVALID hex");
  });

  await t.step("a contract call executes", async () => {
    assertEquals(
      await tronWeb.contract(balanceOf, token).balanceOf(holder).call({ from: ZERO_ADDRESS }),
      1_000_007n,
    );
  });

  await t.step("a revert is a success with a message and a failed transaction", async () => {
    await world.send("setReverting", [true]);
    await assertRejects(
      () => tronWeb.contract(balanceOf, token).balanceOf(holder).call({ from: ZERO_ADDRESS }),
      Error,
      "REVERT opcode executed",
    );
    const { text } = await post("/wallet/triggerconstantcontract", {
      contract_address: tronWeb.address.toHex(token),
      owner_address: tronWeb.address.toHex(ZERO_ADDRESS),
      data: `70a08231${HOLDER.slice(2).padStart(64, "0")}`,
    });
    const { result, constant_result, transaction } = JSON.parse(text);
    assertEquals(result.result, true);
    assertEquals(constant_result[0].slice(0, 8), "08c379a0");
    assertEquals(transaction.ret, [{ ret: "FAILED" }]);
    await world.send("setReverting", [false]);
  });

  await t.step("an account that is no contract cannot be called", async () => {
    await assertRejects(
      () => tronWeb.contract(balanceOf, holder).balanceOf(holder).call({ from: ZERO_ADDRESS }),
      Error,
      "Smart contract is not exist.",
    );
  });

  await t.step("a call without an owner is refused", async () => {
    await assertRejects(
      () =>
        tronWeb.fullNode.request("wallet/triggerconstantcontract", {
          contract_address: tronWeb.address.toHex(token),
          owner_address: "",
          data: "00",
        }, "post").then((answer) => {
          const { result } = answer as { result: { code: string; message: string } };
          throw new Error(`${result.code} ${tronWeb.toUtf8(result.message)}`);
        }),
      Error,
      "OTHER_ERROR class java.security.InvalidParameterException : owner_address isn't set.",
    );
  });

  await t.step("Multicall3 reads sun, tokens, block and chain id in one request", async () => {
    const block = await tronWeb.trx.getConfirmedCurrentBlock();
    const before = node.requests.length;
    const calls = [
      ["getChainId", []],
      ["getBlockNumber", []],
      ["getEthBalance", [HOLDER]],
    ].map(([name, args]) => ({
      target: TRON_MULTICALL3,
      allowFailure: true,
      data: multicall3.encodeFunctionData(name as string, args as string[]),
    }));
    const answer = await tronWeb.transactionBuilder.triggerConfirmedConstantContract(
      node.toTronAddress(TRON_MULTICALL3),
      "",
      { input: multicall3.encodeFunctionData("aggregate3", [calls]).slice(2) },
      [],
      ZERO_ADDRESS,
    );
    const [results] = multicall3.decodeFunctionResult(
      "aggregate3",
      `0x${answer.constant_result![0]}`,
    );
    assertEquals(
      results.map(({ data }: { data: string }) => BigInt(data)),
      [BigInt(CHAIN_ID), BigInt(block.block_header.raw_data.number), ODD_SUN],
    );
    assertEquals(node.requests.length - before, 1);
  });

  await t.step("more calls than the CPU limit are out of time, as many are not", async () => {
    const ask = (count: number) =>
      post("/wallet/triggerconstantcontract", {
        contract_address: `41${TRON_MULTICALL3.slice(2)}`,
        owner_address: tronWeb.address.toHex(ZERO_ADDRESS),
        data: multicall3.encodeFunctionData("aggregate3", [
          Array(count).fill({ target: TRON_MULTICALL3, allowFailure: true, data: "0x3408e470" }),
        ]).slice(2),
      }).then(({ text }) => JSON.parse(text));
    node.cpuLimit = 3;
    assertEquals((await ask(3)).result, { result: true });
    const { code, message } = (await ask(4)).result;
    node.cpuLimit = Infinity;
    assertEquals(code, "OTHER_ERROR");
    assertStringIncludes(tronWeb.toUtf8(message), "CPU timeout for");
  });

  await t.step("code without a contract runs as a constructor", async () => {
    const { text } = await post("/wallet/triggerconstantcontract", {
      owner_address: tronWeb.address.toHex(ZERO_ADDRESS),
      data: "602a60005260206000f3",
    });
    const { constant_result, transaction } = JSON.parse(text);
    assertEquals(BigInt(`0x${constant_result[0]}`), 42n);
    assertEquals(transaction.raw_data.contract[0].type, "CreateSmartContract");
  });

  await t.step(
    "a block's id begins with its number and the genesis ends in the chain id",
    async () => {
      const { blockID, block_header } = await tronWeb.trx.getCurrentBlock();
      assertEquals(parseInt(blockID.slice(0, 16), 16), block_header.raw_data.number);
      const genesis = await tronWeb.trx.getBlockByNumber(0);
      assertEquals(parseInt(genesis.blockID.slice(-8), 16), CHAIN_ID);
      await assertRejects(() => tronWeb.trx.getBlockByNumber(1_000_000), Error, "not found");
    },
  );

  await t.step("the solid side is behind the head", async () => {
    const head = await tronWeb.trx.getCurrentBlock();
    node.solidLag = 19;
    await node.evm.mine(19);
    const solid = await tronWeb.trx.getConfirmedCurrentBlock();
    assertEquals(solid.block_header.raw_data.number, head.block_header.raw_data.number);
    await node.evm.setBalance(HOLDER, 5n);
    await node.evm.mine(18);
    assertEquals(await tronWeb.trx.getUnconfirmedBalance(holder), 5);
    assertEquals(await tronWeb.trx.getBalance(holder), Number(ODD_SUN));
    await node.evm.mine(2);
    assertEquals(await tronWeb.trx.getBalance(holder), 5);
    node.solidLag = 0;
  });

  await t.step("a failure answers for the path it is set on, until it is lifted", async () => {
    node.fail(failures.rateLimited403, "getaccount");
    const { status, text } = await post("/wallet/getaccount", {});
    assertEquals([status, JSON.parse(text).StatusCode], [403, 403]);
    await tronWeb.trx.getCurrentBlock();
    node.fail();
    assertEquals((await post("/wallet/getaccount", {})).status, 200);
  });

  await t.step("paths java-tron does not have are 404", async () => {
    for (const path of ["/", "/wallet", "/wallet/getaccount/x", "/wallet/nothing", "/else"]) {
      assertEquals((await post(path, {})).status, 404, path);
    }
  });
});

Deno.test("java-tron's JSON-RPC", async (t) => {
  await using world = await setup();
  const { node, token, post } = world;
  const hexToken = `0x${TronWeb.address.toHex(token).slice(2)}`;
  const data = `0x70a08231${HOLDER.slice(2).padStart(64, "0")}`;
  const rpc = async (method: string, ...params: unknown[]) => {
    const { status, text } = await post("/jsonrpc", { jsonrpc: "2.0", id: 7, method, params });
    assertEquals(status, 200);
    const answer = JSON.parse(text);
    assertEquals(answer.id, 7);
    return answer.error ? [answer.error.code, answer.error.message] : answer.result;
  };

  await t.step("answers chain id, block number, balance and calls", async () => {
    assertEquals(Number(await rpc("eth_chainId")), CHAIN_ID);
    assertEquals(await rpc("eth_blockNumber"), await node.evm.rpc("eth_blockNumber"));
    assertEquals(BigInt(await rpc("eth_getBalance", HOLDER, "latest")), ODD_SUN);
    assertEquals(BigInt(await rpc("eth_call", { to: hexToken, data }, "latest")), 1_000_007n);
  });

  await t.step("takes 41-prefixed addresses, never base58", async () => {
    const hex = `41${HOLDER.slice(2)}`;
    assertEquals(BigInt(await rpc("eth_getBalance", hex, "latest")), ODD_SUN);
    const refused = [-32602, "invalid address hash value"];
    assertEquals(await rpc("eth_getBalance", token, "latest"), refused);
    assertEquals(await rpc("eth_call", { data }, "latest"), refused);
  });

  await t.step("serves the head only", async () => {
    for (const tag of ["finalized", "safe", "pending", "earliest", "0x1"]) {
      assertEquals((await rpc("eth_getBalance", HOLDER, tag))[0], -32602, tag);
    }
    assertEquals(
      BigInt(await rpc("eth_call", { to: hexToken, data }, { blockNumber: "0x0" })),
      1_000_007n,
    );
  });

  await t.step(
    "a revert, an account that is no contract and an unknown method are errors",
    async () => {
      await world.send("setReverting", [true]);
      assertEquals(await rpc("eth_call", { to: hexToken, data }, "latest"), [
        -32000,
        "REVERT opcode executed: paused",
      ]);
      assertEquals((await rpc("eth_call", { to: HOLDER, data }, "latest"))[0], -32600);
      assertEquals((await rpc("eth_sendTransaction"))[0], -32601);
    },
  );

  await t.step("a batch of 100 is answered, one of 101 refused", async () => {
    const batch = (count: number) =>
      post("/jsonrpc", Array.from({ length: count }, (_, id) => ({ id, method: "eth_chainId" })))
        .then(({ text }) => JSON.parse(text));
    assertEquals((await batch(100)).length, 100);
    assertEquals((await batch(101)).error.code, -32005);
  });
});

Deno.test("Multicall3 is where it is wanted, and nowhere if not", async () => {
  await using evm = await startEvmNode({ chainId: CHAIN_ID, multicall3: false });
  await using _nile = await startTronNode({ evm, multicall3: false });
  assertEquals(await evm.rpc("eth_getCode", [TRON_MULTICALL3, "latest"]), "0x");
  await assertRejects(() => startTronNode({ evm }), Error, "none to copy");
});
