/** A real EVM chain of our own: anvil, as published in its npm platform packages. */
import { Interface, keccak256 } from "ethers";
import { cached } from "./cache.ts";
import { startChild } from "./child.ts";

const ANVIL_VERSION = "1.7.1";
const MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11";
const MULTICALL3_CODE_HASH = "0xd5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891";

export interface Artifact {
  bytecode: string;
  abi: unknown[];
}

export interface EvmNode extends AsyncDisposable {
  url: string;
  chainId: number;
  /** One JSON-RPC call; throws on a JSON-RPC error. */
  rpc<T = unknown>(method: string, params?: unknown[]): Promise<T>;
  /** Deploys from an unlocked account; the address, lower case. */
  deploy(artifact: Artifact, args?: unknown[]): Promise<string>;
  setBalance(address: string, wei: bigint): Promise<void>;
  setCode(address: string, code: string): Promise<void>;
  mine(blocks?: number): Promise<void>;
}

/** Starts anvil on a free port, with Multicall3 at its canonical address unless `multicall3` is false. */
export async function startEvmNode(
  options: { chainId: number; multicall3?: boolean; args?: string[] },
): Promise<EvmNode> {
  const { chainId, multicall3 = true, args = [] } = options;
  const code = multicall3 ? await multicall3Code() : undefined;
  const node = await startAnvil(chainId, args);
  if (code) await node.setCode(MULTICALL3, code);
  return node;
}

async function startAnvil(chainId: number, args: string[]): Promise<EvmNode> {
  const child = startChild(await anvilPath(), {
    args: [
      ...["--host", "127.0.0.1", "--chain-id", `${chainId}`],
      // 0: the system picks a free one while binding, so there is nothing to race for
      ...["--port", "0"],
      // states of the last 500 blocks stay in memory; older ones would be left behind in the home folder
      ...["--max-persisted-states", "0"],
      ...args,
    ],
  });
  const complaint = Array.fromAsync(child.stderr);
  let heard = "";
  const lines = child.stdout.getReader();
  let address: string | undefined;
  while (!address) {
    const { value, done } = await lines.read();
    if (done) break;
    heard += value;
    address = /Listening on (\S+)\n/.exec(heard)?.[1];
  }
  if (!address) {
    await child[Symbol.asyncDispose]();
    throw new Error(`Cannot start anvil: ${(await complaint).join("").trim() || heard.trim()}`);
  }
  lines.releaseLock();
  // anvil reports every request: read on, or it stops once the pipe is full
  const drained = child.stdout.pipeTo(new WritableStream());

  const url = `http://${address}`;
  const rpc = <T>(method: string, params: unknown[] = []) => callRpc<T>(url, method, params);
  return {
    url,
    chainId,
    rpc,
    deploy: (artifact, args = []) => deploy(rpc, artifact, args),
    async setBalance(address, wei) {
      await rpc("anvil_setBalance", [address, hex(wei)]);
    },
    async setCode(address, code) {
      await rpc("anvil_setCode", [address, code]);
    },
    async mine(blocks = 1) {
      await rpc("anvil_mine", [hex(BigInt(blocks))]);
    },
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      await Promise.all([drained, complaint]);
    },
  };
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

async function callRpc<T>(url: string, method: string, params: unknown[]): Promise<T> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  const { result, error } = await response.json();
  if (error) throw new Error(`${method} failed: ${error.message}`);
  return result;
}

async function deploy(
  rpc: EvmNode["rpc"],
  artifact: Artifact,
  args: unknown[],
): Promise<string> {
  const constructor = Interface.from(artifact.abi as ConstructorParameters<typeof Interface>[0]);
  const data = artifact.bytecode + constructor.encodeDeploy(args).slice(2);
  const [from] = await rpc<string[]>("eth_accounts");
  // Sync: without, the first receipt of a young chain may not be there yet
  const receipt = await rpc<{ status: string; contractAddress: string }>(
    "eth_sendTransactionSync",
    [{ from, data }],
  );
  if (receipt.status !== "0x1") throw new Error("Cannot deploy: the constructor reverted");
  return receipt.contractAddress.toLowerCase();
}

/**
 * anvil's wrapper package wants every platform package to exist; the one of this machine is enough.
 * Importing its manifest makes Deno download, verify and cache the package with its binary.
 */
async function anvilPath(): Promise<string> {
  const arch = Deno.build.arch === "x86_64" ? "amd64" : "arm64";
  const os = Deno.build.os === "windows" ? "win32" : Deno.build.os;
  const name = `npm:@foundry-rs/anvil-${os}-${arch}@${ANVIL_VERSION}`;
  await import(`${name}/package.json`, { with: { type: "json" } });
  const binary = os === "win32" ? "anvil.exe" : "anvil";
  return new URL(import.meta.resolve(`${name}/bin/${binary}`)).pathname;
}

/**
 * The canonical code, asked of anvil itself: an Ethereum chain of anvil's starts without Multicall3,
 * but the genesis of its Tempo network has it. The hash is that of the contract on public chains.
 */
async function multicall3Code(): Promise<string> {
  const code = await cached(`multicall3-${MULTICALL3_CODE_HASH}`, async () => {
    await using tempo = await startAnvil(1, ["--network", "tempo"]);
    return await tempo.rpc<string>("eth_getCode", [MULTICALL3, "latest"]);
  });
  const hash = keccak256(code);
  if (hash !== MULTICALL3_CODE_HASH) {
    throw new Error(`Cannot place Multicall3: expected code ${MULTICALL3_CODE_HASH}, got ${hash}`);
  }
  return code;
}
