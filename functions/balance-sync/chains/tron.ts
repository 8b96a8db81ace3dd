import { TronWeb } from "tronweb";
import type { Chain, ChainFamily, ChainReader } from "./adapter.ts";
import { ChainFailure } from "./http.ts";
import { readerOf } from "./read_rows.ts";
import { openSession, type Route } from "./session.ts";
import { TronEndpoint } from "./tron_endpoint.ts";
import {
  callsPerRequest,
  constructorRoute,
  hasCode,
  multicallRoute,
  singleRoute,
} from "./tron_routes.ts";

/** TEazPvZwDjDtFeJupyo7QunvnrnUjPH8ED, TRON's main net only. */
const multicall3Address = "32a4f47a74a6810bd0bf861cabab99656a75de9e";

/** TRON and whatever else runs java-tron. Addresses become 0x and 40 lower-case digits, as on the EVM. */
export const tron: ChainFamily = { parseAddress, open };

function parseAddress(address: string, use: "wallet" | "contract"): string {
  const canonical = "0x" + digitsOf(address);
  // Precompiles answer to anything; TRON's own begin at 0x1000001.
  if (use === "contract" && BigInt(canonical) < 1n << 32n) {
    throw new TypeError("no token lives below 2^32, where the precompiles are");
  }
  return canonical;
}

/** The 20 bytes of an address, of base58 or hex with 41 or 0x before them. */
function digitsOf(address: string): string {
  if (/^T[1-9A-HJ-NP-Za-km-z]{33}$/.test(address)) {
    if (TronWeb.isAddress(address)) return TronWeb.address.toHex(address).slice(2);
    throw new TypeError("the base58 checksum is wrong");
  }
  const digits = /^(?:41|0x)([0-9a-fA-F]{40})$/.exec(address)?.[1];
  if (digits === undefined) {
    throw new TypeError("a TRON address is T and 33 base58 characters, or 41 or 0x and 40 digits");
  }
  const canonical = digits.toLowerCase();
  const mixed = digits !== canonical && digits !== digits.toUpperCase();
  if (mixed && TronWeb.address.toChecksumAddress(`41${canonical}`).slice(2) !== digits) {
    throw new TypeError("the checksum, its pattern of capitals, is wrong");
  }
  return canonical;
}

function open(chain: Chain): ChainReader {
  const { block_tag, multicall_address } = chain.settings;
  // One side for TRX and tokens alike: TronWeb's own getBalance and call() read different ones.
  const side = (block_tag ?? "latest") === "latest" ? "wallet" : "walletsolidity";
  return readerOf(openSession(chain, {
    connect: (endpoint) => new TronEndpoint(endpoint, side),
    routes: routesOf(multicall_address),
    hasCode,
    rowsPerRequest: callsPerRequest,
  }));
}

/** As on the EVM: constructor code first, unless the operator names a Multicall3. */
function routesOf(multicallAddress: string | undefined): Route<TronEndpoint>[] {
  if (multicallAddress === undefined || multicallAddress === null) {
    return [constructorRoute, multicallRoute(multicall3Address), singleRoute()];
  }
  let chosen: string;
  try {
    chosen = digitsOf(multicallAddress);
  } catch {
    throw new ChainFailure("invalid_chain_settings", "multicall_address must be a TRON address");
  }
  return [multicallRoute(chosen), constructorRoute, singleRoute()];
}
