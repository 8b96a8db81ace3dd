/** A real EVM chain of our own. */
import { Interface, keccak256 } from "ethers";
import { startAnvil } from "./anvil.ts";
import { cached } from "./cache.ts";

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
  const node = await startChain(chainId, args);
  if (code) await node.setCode(MULTICALL3, code);
  return node;
}

async function startChain(chainId: number, args: string[]): Promise<EvmNode> {
  const { url, ...anvil } = await startAnvil(["--chain-id", `${chainId}`, ...args]);
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
    [Symbol.asyncDispose]: anvil[Symbol.asyncDispose],
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
 * The canonical code, asked of anvil itself: an Ethereum chain of anvil's starts without Multicall3,
 * but the genesis of its Tempo network has it. The hash is that of the contract on public chains.
 */
async function multicall3Code(): Promise<string> {
  const code = await cached(`multicall3-${MULTICALL3_CODE_HASH}`, async () => {
    await using tempo = await startChain(1, ["--network", "tempo"]);
    return await tempo.rpc<string>("eth_getCode", [MULTICALL3, "latest"]);
  });
  const hash = keccak256(code);
  if (hash !== MULTICALL3_CODE_HASH) {
    throw new Error(`Cannot place Multicall3: expected code ${MULTICALL3_CODE_HASH}, got ${hash}`);
  }
  return code;
}
