import { getAddress, Interface } from "ethers";
import type { ChainSettings } from "../../functions/balance-sync/chains/adapter.ts";
import { openChain } from "../../functions/balance-sync/chains/mod.ts";
import { compile, type Contract } from "../../local/contracts/mod.ts";
import { type EvmNode, startEvmNode } from "../../local/evm_node.ts";
import { type Behaviour, startProxy } from "./proxy.ts";
import type { BadToken, World } from "./world.ts";

/** The EVM's world: anvil, behind a proxy, with tokens that are really deployed. */
export interface EvmWorld extends World {
  node: EvmNode;
  contracts: Record<string, Contract>;
}

/** The ways to read an EVM chain, by what it offers. */
export interface EvmOptions {
  chainId?: number;
  multicall3?: boolean;
  /** Whether the node runs constructor code; zkSync and some gateways do not. */
  constructorCode?: boolean;
  /** More arguments for anvil. */
  args?: string[];
  settings?: ChainSettings;
}

const contractOf: Record<Exclude<BadToken, "no code">, string> = {
  reverts: "Reverts",
  "returns nothing": "ReturnsNothing",
  "returns 16 bytes": "Returns16Bytes",
  "returns 64 bytes": "Returns64Bytes",
  "invalid opcode": "InvalidOpcode",
  "burns gas": "BurnsGas",
  "returns 2 MB": "Returns2MB",
  "reverts with 100 KB": "RevertsWith100KB",
  contaminates: "Contaminates",
};

export async function startEvmWorld(
  options: EvmOptions = {},
): Promise<EvmWorld> {
  const { chainId = 31337, constructorCode = true, settings = {}, ...rest } = options;
  const node = await startEvmNode({ chainId, ...rest });
  const gateway = await startProxy(node.url);
  if (!constructorCode) gateway.behave(refuseConstructorCode);
  const proxy = await startProxy(gateway.url);
  const contracts = await compileHostile();
  const chain = {
    chain_id: crypto.randomUUID(),
    name: "evm",
    adapter: "evm",
    rpc_url: proxy.url,
    settings,
  };
  return {
    node,
    contracts,
    chain,
    proxy,
    open: (more = {}, rpc_url = proxy.url) =>
      openChain({ ...chain, rpc_url, settings: { ...settings, ...more } }),
    maxNative: 2n ** 256n - 1n,
    async wallet(native = 0n) {
      const address = randomAddress();
      if (native > 0n) await node.setBalance(address, native);
      return getAddress(address);
    },
    token: (balances) => deployLedger(node, contracts, balances),
    async badToken(kind, victim) {
      if (kind === "no code") return randomAddress();
      const contract = contracts[contractOf[kind]]!;
      if (kind !== "contaminates") return await node.deploy(contract);
      const token = await node.deploy(contract, [victim]);
      await setBalances(node, contracts, victim!, [[token, 999n]]);
      await node.setBalance(token, 10n ** 20n);
      return token;
    },
    spellings: (address) => [
      address.toLowerCase(),
      "0x" + address.slice(2).toUpperCase(),
      getAddress(address.toLowerCase()),
    ],
    notAddresses: [
      "",
      "vitalik.eth",
      "0x123",
      "52908400098527886E0F7030069857D2E4169EE7",
      "0x52908400098527886e0F7030069857D2E4169EE7",
      " 0x52908400098527886E0F7030069857D2E4169EE7",
      "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    ],
    notContracts: ["0x0000000000000000000000000000000000000002"],
    otherChain: { evm_chain_id: chainId + 1 },
    rateLimits: {
      "RPC error -32005": () =>
        rpcError(-32005, "daily request count exceeded, request rate limited"),
      "an error without id": () => Response.json({ error: { code: -32005, message: "slow down" } }),
      "RPC error 429": () =>
        rpcError(429, "Your app has exceeded its compute units per second capacity"),
    },
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await gateway[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
    },
  };
}

const refuseConstructorCode: Behaviour = ({ body, forward }) =>
  /"params":\[{"data"/.test(body) ? rpcError(-32602, "missing field to") : forward();

export async function compileHostile(): Promise<Record<string, Contract>> {
  const file = new URL("contracts/hostile.sol", import.meta.url);
  return await compile({ "hostile.sol": await Deno.readTextFile(file) });
}

export function randomAddress(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  return "0x" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What a node says in place of a result. */
export function rpcError(code: number, message: string, status = 200): Response {
  return Response.json({ jsonrpc: "2.0", id: null, error: { code, message } }, { status });
}

export async function deployLedger(
  node: EvmNode,
  contracts: Record<string, Contract>,
  balances: Iterable<[string, bigint]>,
): Promise<string> {
  const token = await node.deploy(contracts.Ledger!);
  await setBalances(node, contracts, token, [...balances]);
  return token;
}

async function setBalances(
  node: EvmNode,
  contracts: Record<string, Contract>,
  token: string,
  balances: [string, bigint][],
) {
  const abi = Interface.from(contracts.Ledger!.abi as ConstructorParameters<typeof Interface>[0]);
  const [from] = await node.rpc<string[]>("eth_accounts");
  for (let i = 0; i < balances.length; i += 500) {
    const part = balances.slice(i, i + 500);
    const data = abi.encodeFunctionData("set", [part.map(([a]) => a), part.map(([, v]) => v)]);
    await node.rpc("eth_sendTransactionSync", [{ from, to: token, data }]);
  }
}
