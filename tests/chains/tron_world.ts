import { TronWeb } from "tronweb";
import type { ChainSettings } from "../../functions/balance-sync/chains/adapter.ts";
import { openChain } from "../../functions/balance-sync/chains/mod.ts";
import { failures } from "../../local/tron_failures.ts";
import { startTronNode, type TronNode } from "../../local/tron_node.ts";
import { type EvmWorld, startEvmWorld } from "./evm_world.ts";
import { type Behaviour, startProxy } from "./proxy.ts";
import type { World } from "./world.ts";

/** TRON's world: the façade over the EVM's world, behind a proxy of its own. */
export interface TronWorld extends World {
  node: TronNode;
  evm: EvmWorld;
}

export const TRON_CHAIN_ID = 728126428;

/** The ways to read TRON, by what the node offers. */
export interface TronOptions {
  multicall3?: string | false;
  /** Whether the node runs constructor code. */
  constructorCode?: boolean;
  settings?: ChainSettings;
}

export async function startTronWorld(options: TronOptions = {}): Promise<TronWorld> {
  const { multicall3, constructorCode = true, settings = {} } = options;
  const evm = await startEvmWorld({ chainId: TRON_CHAIN_ID });
  const node = await startTronNode({
    evm: evm.node,
    ...multicall3 !== undefined && { multicall3 },
  });
  if (!constructorCode) node.fail(refuseConstructorCode, "triggerconstantcontract");
  const proxy = await startProxy(node.url);
  const base58 = (address: string) => node.toTronAddress(address.toLowerCase());
  const hex = (address: string) => "0x" + TronWeb.address.toHex(address).slice(2);
  const chain = {
    chain_id: crypto.randomUUID(),
    name: "tron",
    adapter: "tron",
    rpc_url: proxy.url,
    settings,
  };
  return {
    node,
    evm,
    chain,
    proxy,
    open: (more = {}, rpc_url = proxy.url) =>
      openChain({ ...chain, rpc_url, settings: { ...settings, ...more } }),
    maxNative: 2n ** 63n - 1n,
    wallet: async (native) => base58(await evm.wallet(native)),
    token: async (balances) =>
      base58(await evm.token([...balances].map(([wallet, raw]) => [hex(wallet), raw]))),
    async badToken(kind, victim) {
      const token = await evm.badToken(kind, victim && hex(victim));
      return token && base58(token);
    },
    spellings(address) {
      const lower = TronWeb.address.toHex(address);
      return [
        lower,
        lower.toUpperCase(),
        TronWeb.address.toChecksumAddress(lower),
        "0x" + lower.slice(2),
        "0x" + TronWeb.address.toChecksumAddress(lower).slice(2),
      ];
    },
    notAddresses: [
      "",
      "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6T",
      " TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
      "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj",
      "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
      "a614f803b6fd780986a42c78ec9c7f77e6ded13c",
      "42a614f803b6fd780986a42c78ec9c7f77e6ded13c",
      "0x41a614f803b6fd780986a42c78ec9c7f77e6ded13c",
      "0x52908400098527886e0F7030069857D2E4169EE7",
      "0x123",
    ],
    notContracts: [
      "0x0000000000000000000000000000000000000002",
      base58(`0x${"0".repeat(33)}1000001`),
    ],
    otherChain: { evm_chain_id: TRON_CHAIN_ID + 1 },
    ...!constructorCode && multicall3 === false && { requestsFor1000Rows: 1300 },
    rateLimits: Object.fromEntries(
      Object.entries(failures)
        .filter(([name]) => /^rateLimited|^lackOfResources/.test(name))
        .map(([name, failure]): [string, Behaviour] => [
          name,
          ({ forward, body, request }) => failure(forward, { path: request.url, body }),
        ]),
    ),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
      await evm[Symbol.asyncDispose]();
    },
  };
}

/** As a node answers that takes no constant call without a contract. */
function refuseConstructorCode(
  answer: () => Promise<Response>,
  { body }: { body: string },
): Promise<Response> {
  if (body.includes("contract_address")) return answer();
  const message = "436f6e74726163742061646472657373206973206e6f74207365742e";
  return Promise.resolve(
    new Response(`{"result":{"code":"CONTRACT_VALIDATE_ERROR","message":"${message}"}}\n`),
  );
}
