import { redact } from "../redact.ts";
import type {
  Chain,
  ChainFamily,
  ChainReader,
  ErrorResult,
  ReadError,
  ReadResult,
  WalletBalance,
} from "./adapter.ts";
import { aborted, ChainFailure } from "./http.ts";

/**
 * Chain families. A new one is a file beside this one and a line here. Imported only when a claim
 * holds a row of that family: tronweb alone costs 150 ms of the isolate's 2 s of CPU.
 */
export const families: Record<string, () => Promise<ChainFamily>> = {
  evm: async () => (await import("./evm.ts")).evm,
  tron: async () => (await import("./tron.ts")).tron,
};

/** Opens a reader for the chain. A chain that cannot be opened answers every row with the reason. */
export async function openChain(chain: Chain): Promise<ChainReader> {
  const load = Object.hasOwn(families, chain.adapter) ? families[chain.adapter] : undefined;
  try {
    if (!load) {
      throw new ChainFailure("unknown_adapter", `no chain family is called "${chain.adapter}"`);
    }
    return guard(await load(), chain);
  } catch (failure) {
    const error = errorOf(failure);
    return { rpcCalls: 0, read: (rows) => Promise.resolve(rows.map(({ id }) => ({ id, error }))) };
  }
}

/**
 * What every family can rely on and must keep: rows no chain can answer are refused before any
 * request, and each row gets exactly one result, whatever the family did.
 */
export function guard(family: ChainFamily, chain: Chain): ChainReader {
  const reader = family.open(chain);
  return {
    get rpcCalls() {
      return reader.rpcCalls;
    },
    async read(balances, signal) {
      const results = new Map<string, ReadResult>();
      const sound: WalletBalance[] = [];
      for (const balance of balances) {
        const row = examine(balance, family);
        if ("error" in row) results.set(row.id, row);
        else sound.push(row);
      }
      let missing: ReadError = {
        code: "rpc_bad_response",
        message: "the adapter gave no result for this balance",
        scope: "row",
      };
      try {
        if (signal.aborted) throw aborted();
        for (const result of sound.length === 0 ? [] : await reader.read(sound, signal)) {
          results.set(result.id, checked(result, reader.chainId));
        }
      } catch (failure) {
        missing = errorOf(failure);
      }
      return balances.map(({ id }) => results.get(id) ?? { id, error: missing });
    },
  };
}

/** The row with canonical addresses, or the error of a row that no chain could answer. */
function examine(balance: WalletBalance, family: ChainFamily): WalletBalance | ErrorResult {
  const { id, is_native, contract_address, decimals } = balance;
  if (decimals === null || !Number.isInteger(decimals) || decimals < 0 || decimals > 77) {
    const message = `decimals must be a whole number from 0 to 77: found ${decimals}`;
    return refused(id, "invalid_decimals", message);
  }
  if (!is_native && (contract_address ?? "") === "") {
    return refused(id, "missing_contract_address", "a token needs a contract address");
  }
  try {
    return {
      ...balance,
      address: family.parseAddress(balance.address, "wallet"),
      contract_address: is_native ? null : family.parseAddress(contract_address ?? "", "contract"),
    };
  } catch (error) {
    return refused(id, "invalid_address", redact(error instanceof Error ? error.message : ""));
  }
}

function refused(id: string, code: ReadError["code"], message: string): ErrorResult {
  return { id, error: { code, message, scope: "row" } };
}

/** A value outside its range is no balance, whoever attested it. */
function checked(result: ReadResult, chainId: bigint | undefined): ReadResult {
  if ("error" in result) {
    return { id: result.id, error: { ...result.error, message: redact(result.error.message) } };
  }
  const { id, raw, block } = result;
  if (typeof raw === "bigint" && raw >= 0n && raw < 1n << 256n && typeof block === "bigint") {
    return chainId === undefined ? result : { ...result, chainId };
  }
  return refused(id, "rpc_bad_response", "the adapter answered no integer from 0 to 2^256 - 1");
}

function errorOf(failure: unknown): ReadError {
  if (failure instanceof ChainFailure) {
    return { ...failure.error, message: redact(failure.message) };
  }
  // A bug of ours: named, so that it can be found, and never with the text of a foreign error.
  const name = failure instanceof Error ? failure.name : typeof failure;
  const message = `the adapter failed with an unexpected ${name}`;
  return { code: "rpc_bad_response", message, scope: "chain" };
}
