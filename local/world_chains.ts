/** The demo's chains: real EVM nodes with real tokens on them, one of them behind the TRON façade. */
import { Interface, type InterfaceAbi } from "ethers";
import { tokenContract } from "./contracts/mod.ts";
import { type EvmNode, startEvmNode } from "./evm_node.ts";
import { startTronNode } from "./tron_node.ts";
import { addressOf, type Asset, assets, type ChainName, EMPTY_ADDRESS, rows } from "./world.ts";

/** Of anvil's own ten accounts one deploys, none is a wallet of the demo's. */
const ANVIL = ["--accounts", "1", "--number", "21000000"];

export interface WorldChain {
  name: ChainName;
  evmChainId: number;
  rpcUrl: string;
  /** Undefined where no node runs: the inactive chain. */
  node?: EvmNode;
  /** Contract addresses by symbol, as the chain writes them. */
  contracts: Record<string, string>;
  /** The chain's spelling of a 0x address. */
  spell: (address: string) => string;
  /** What the chain itself says, asked of the node directly. */
  balanceOf: (asset: Asset, wallet: string) => Promise<bigint>;
}

export interface WorldChains extends AsyncDisposable {
  chains: WorldChain[];
}

/** Starts the chains and puts on them what the world holds. */
export async function startWorldChains(): Promise<WorldChains> {
  await using nodes = new AsyncDisposableStack();
  const started = await Promise.allSettled([
    start(nodes, "ethereum", 1),
    start(nodes, "bsc", 56),
    start(nodes, "tron", 728126428),
  ]);
  const chains = started.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
  // no node behind it: reading it would be an error, so that leaving it alone shows
  const { node: _, ...rest } = chains[0]!;
  chains.push({ ...rest, name: "polygon", evmChainId: 137, rpcUrl: "http://127.0.0.1:9" });
  const running = nodes.move();
  return { chains, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

async function start(
  nodes: AsyncDisposableStack,
  name: ChainName,
  evmChainId: number,
): Promise<WorldChain> {
  const node = nodes.use(await startEvmNode({ chainId: evmChainId, args: ANVIL }));
  const token = await tokenContract();
  const abi = new Interface(token.abi as InterfaceAbi);
  const [deployer] = await node.rpc<string[]>("eth_accounts");
  const send = async (to: string, method: string, args: unknown[]) => {
    const data = abi.encodeFunctionData(method, args);
    await node.rpc("eth_sendTransactionSync", [{ from: deployer, to, data }]);
  };

  const deployed: Record<string, string> = {};
  for (const { symbol, decimals, contract } of assets.filter((asset) => asset.chain === name)) {
    if (contract === "no code") deployed[symbol] = EMPTY_ADDRESS;
    if (!contract.endsWith("token")) continue;
    deployed[symbol] = await node.deploy(token, [symbol, symbol, decimals]);
    if (contract === "reverting token") await send(deployed[symbol], "setReverting", [true]);
  }
  for (const { symbol, wallet, holds } of rows.filter((row) => row.chain === name)) {
    const address = addressOf(wallet);
    if (holds === 0n) continue;
    if (deployed[symbol]) await send(deployed[symbol], "mint", [address, holds]);
    else await node.setBalance(address, holds);
  }
  // from now on blocks come by themselves, as on any chain
  await node.rpc("evm_setIntervalMining", [3]);

  const tron = name === "tron" ? nodes.use(await startTronNode({ evm: node })) : undefined;
  const spell = (address: string) => tron?.toTronAddress(address) ?? address;
  return {
    name,
    evmChainId,
    rpcUrl: tron?.url ?? node.url,
    node,
    contracts: Object.fromEntries(
      Object.entries(deployed).map(([symbol, address]) => [symbol, spell(address)]),
    ),
    spell,
    async balanceOf({ symbol }, wallet) {
      const address = addressOf(wallet);
      const to = deployed[symbol];
      const data = abi.encodeFunctionData("balanceOf", [address]);
      return BigInt(
        to
          ? await node.rpc<string>("eth_call", [{ to, data }, "latest"])
          : await node.rpc<string>("eth_getBalance", [address, "latest"]),
      );
    },
  };
}
