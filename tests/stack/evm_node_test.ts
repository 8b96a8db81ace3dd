import { assertEquals, assertRejects } from "@std/assert";
import { Interface, type InterfaceAbi, keccak256 } from "ethers";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { tokenContract } from "../../local/contracts/mod.ts";
import { startEvmNode } from "../../local/evm_node.ts";

const multicall3 = "0xcA11bde05977b3631167028862bE2a173976CA11";
const anyone = "0x00000000000000000000000000000000000a11ce";

Deno.test("a chain has its own id, and the code of public chains at Multicall3's address", async () => {
  await using node = await startEvmNode({ chainId: 56 });
  assertEquals(await node.rpc("eth_chainId"), "0x38");
  const code = await node.rpc<string>("eth_getCode", [multicall3, "latest"]);
  assertEquals(
    keccak256(code),
    "0xd5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891",
  );
});

Deno.test("a chain without Multicall3 has no code there", async () => {
  await using node = await startEvmNode({ chainId: 1, multicall3: false });
  assertEquals(await node.rpc("eth_getCode", [multicall3, "latest"]), "0x");
});

Deno.test("two chains of one id started at once do not share a port or a state", async () => {
  const [one, other] = await Promise.all([
    startEvmNode({ chainId: 1 }),
    startEvmNode({ chainId: 1 }),
  ]);
  await using _one = one;
  await using _other = other;
  await one.setBalance(anyone, 7n);
  assertEquals(await one.rpc("eth_getBalance", [anyone, "latest"]), "0x7");
  assertEquals(await other.rpc("eth_getBalance", [anyone, "latest"]), "0x0");
});

Deno.test("a token is deployed, minted and made to revert", async () => {
  await using node = await startEvmNode({ chainId: 1 });
  const token = await tokenContract();
  const abi = new Interface(token.abi as InterfaceAbi);
  const address = await node.deploy(token, ["Tether USD", "USDT", 6]);
  assertEquals(address, address.toLowerCase());
  assertEquals(await node.rpc("eth_getCode", [address, "latest"]), token.runtime);

  const call = (method: string, ...args: unknown[]) =>
    node.rpc<string>("eth_call", [
      { to: address, data: abi.encodeFunctionData(method, args) },
      "latest",
    ]);
  const [from] = await node.rpc<string[]>("eth_accounts");
  const send = (method: string, ...args: unknown[]) =>
    node.rpc("eth_sendTransactionSync", [
      { from, to: address, data: abi.encodeFunctionData(method, args) },
    ]);
  assertEquals(BigInt(await call("decimals")), 6n);
  assertEquals(BigInt(await call("balanceOf", anyone)), 0n);
  await send("mint", anyone, 2n ** 255n);
  assertEquals(BigInt(await call("balanceOf", anyone)), 2n ** 255n);
  await send("setReverting", true);
  await assertRejects(() => call("balanceOf", anyone), Error, "paused");
  await send("setReverting", false);
  assertEquals(BigInt(await call("balanceOf", anyone)), 2n ** 255n);
});

Deno.test("a constructor that reverts is an error, not an address", async () => {
  await using node = await startEvmNode({ chainId: 1 });
  // PUSH0 PUSH0 REVERT
  const reverting = { bytecode: "0x5f5ffd", abi: [] };
  await assertRejects(() => node.deploy(reverting), Error, "revert");
});

Deno.test("blocks are mined when asked for, and an address can be given code", async () => {
  await using node = await startEvmNode({ chainId: 1, args: ["--number", "1000"] });
  const before = BigInt(await node.rpc<string>("eth_blockNumber"));
  await node.mine();
  await node.mine(41);
  assertEquals(BigInt(await node.rpc<string>("eth_blockNumber")), before + 42n);
  await node.setCode(anyone, "0x6001");
  assertEquals(await node.rpc("eth_getCode", [anyone, "latest"]), "0x6001");
});

Deno.test("a JSON-RPC error is thrown with its method", async () => {
  await using node = await startEvmNode({ chainId: 1 });
  await assertRejects(() => node.rpc("eth_nonsense"), Error, "eth_nonsense failed");
});

Deno.test("an argument that anvil refuses is reported in its words", async () => {
  await assertRejects(
    () => startEvmNode({ chainId: 1, args: ["--nonsense"] }),
    Error,
    "Cannot start anvil: error: unexpected argument '--nonsense'",
  );
});

Deno.test("a chain that was disposed of answers no more", async () => {
  const node = await startEvmNode({ chainId: 1 });
  await node[Symbol.asyncDispose]();
  await assertRejects(() => node.rpc("eth_chainId"));
});

const killable = { ignore: Deno.build.os === "windows" };
for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
  Deno.test(`a chain ends when its starter is ended by ${signal}`, killable, async () => {
    const source = new URL("../../local/evm_node.ts", import.meta.url).href;
    const starter = spawn(Deno.execPath(), [
      "eval",
      `--config=${fileURLToPath(new URL("../../deno.json", import.meta.url))}`,
      `import { startEvmNode } from "${source}";
       const { url } = await startEvmNode({ chainId: 1 });
       console.log(url);
       await new Promise((resolve) => setTimeout(resolve, 60_000));`,
    ], { stdio: ["ignore", "pipe", "ignore"] });
    const url = String((await once(starter.stdout, "data"))[0]).trim();
    assertEquals(await answers(url), true);

    starter.kill(signal);
    await once(starter, "exit");
    for (let i = 0; i < 100 && await answers(url); i++) await delay(50);
    assertEquals(await answers(url), false);
  });
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url, { method: "POST", body: "{}" })).body?.cancel();
    return true;
  } catch {
    return false;
  }
}
