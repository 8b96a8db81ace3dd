import { getAddress } from "ethers";
import type { Chain, ChainFamily, ChainReader } from "./adapter.ts";
import { constructorRoute, hasCode, multicallRoute, plainRoute } from "./evm_routes.ts";
import { ChainFailure } from "./http.ts";
import { EndpointProvider } from "./json_rpc.ts";
import { multicall3Address } from "./multicall3.ts";
import { readerOf } from "./read_rows.ts";
import { openSession, type Route } from "./session.ts";

/** Ethereum, BSC, Polygon, Arbitrum, …: any node that speaks the EVM's JSON-RPC. */
export const evm: ChainFamily = { parseAddress, open };

/** Checksums found right: each takes 10 µs of keccak, more than all else about a row together. */
const wellSpelt = new Set<string>();

function parseAddress(address: string, use: "wallet" | "contract"): string {
  if (!/^0x[0-9a-fA-F]{40}$/.test(address)) {
    throw new TypeError("an EVM address is 0x and 40 hexadecimal digits");
  }
  const canonical = address.toLowerCase();
  const digits = address.slice(2);
  const mixed = digits !== digits.toLowerCase() && digits !== digits.toUpperCase();
  if (mixed && !wellSpelt.has(address)) {
    if (getAddress(canonical) !== address) {
      throw new TypeError("the checksum, its pattern of capitals, is wrong");
    }
    if (wellSpelt.size >= 10_000) wellSpelt.clear();
    wellSpelt.add(address);
  }
  // Precompiles answer 32 bytes to anything: SHA-256 at 0x02 would be a fine balance.
  if (use === "contract" && BigInt(canonical) < 0x10000n) {
    throw new TypeError("no token lives below 0x10000, where the precompiles are");
  }
  return canonical;
}

function open(chain: Chain): ChainReader {
  return readerOf(openSession(chain, {
    connect: (endpoint) => new EndpointProvider(endpoint),
    routes: routesOf(chain.settings.multicall_address),
    hasCode,
    rowsPerRequest: 250,
  }));
}

/**
 * Constructor code first: it is the only way that is a sandbox, and it needs nothing on the chain. A
 * Multicall3 that the operator names goes before it, because they know their chain.
 */
function routesOf(multicallAddress: string | undefined): Route<EndpointProvider>[] {
  if (multicallAddress === undefined || multicallAddress === null) {
    return [constructorRoute, multicallRoute(multicall3Address, false), plainRoute];
  }
  if (!/^0x[0-9a-f]{40}$/i.test(multicallAddress)) {
    throw new ChainFailure("invalid_chain_settings", "multicall_address must be an EVM address");
  }
  return [multicallRoute(multicallAddress.toLowerCase(), true), constructorRoute, plainRoute];
}
