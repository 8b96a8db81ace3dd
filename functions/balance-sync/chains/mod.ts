import type { Chain, ChainReader, OpenChain } from "./adapter.ts";

/**
 * Chain families. A new one is a file beside this one and a line here. Imported only when a claim
 * holds a row of that family: tronweb alone costs 150 ms of the isolate's 2 s of CPU.
 */
export const families: Record<string, () => Promise<OpenChain>> = {
  evm: async () => (await import("./evm.ts")).evm,
  tron: async () => (await import("./tron.ts")).tron,
};

/** Opens a reader for the chain, or undefined when no family of that name exists. */
export async function openChain(chain: Chain): Promise<ChainReader | undefined> {
  const load = Object.hasOwn(families, chain.adapter) ? families[chain.adapter] : undefined;
  return load && (await load())(chain);
}
