import type { Chain, ChainReader, ReadResult } from "./chains/adapter.ts";
import type { ClaimedChain } from "./wallet_balances.ts";

/** Opens the reader of a chain. */
export type OpenChain = (chain: Chain) => Promise<ChainReader>;

/** The readers of one run by chain id: a chain's is opened with its first row and then kept. */
export type Readers = Map<string, ChainReader>;

/** What one chain answered: exactly one result per claimed row. */
export interface ChainRead {
  chain: ClaimedChain;
  results: ReadResult[];
}

/** A chain's results wait this long for its neighbours', so that one trip records them all. */
const gatherMs = 250;

/** After an abort a reader has this long to hand over what it has; then its rows go back unread. */
const graceMs = 2_000;

/**
 * Reads every chain at once and hands over what has arrived. A chain that is slow or hangs costs its
 * own rows at most: the others are handed over before it.
 */
export async function* readChains(
  chains: ClaimedChain[],
  open: OpenChain,
  readers: Readers,
  signal: AbortSignal,
): AsyncGenerator<ChainRead[]> {
  let arrived: ChainRead[] = [];
  const reading = new Set<Promise<void>>();
  for (const chain of chains) {
    const read = readChain(chain, open, readers, signal).then((results) => {
      arrived.push({ chain, results });
      reading.delete(read);
    });
    reading.add(read);
  }
  while (reading.size > 0 || arrived.length > 0) {
    if (arrived.length === 0) await Promise.race(reading);
    await within(gatherMs, Promise.all(reading));
    const handed = arrived;
    arrived = [];
    yield handed;
  }
}

/** Readers end by themselves when the signal aborts; one that does not is left behind. */
async function readChain(
  chain: ClaimedChain,
  open: OpenChain,
  readers: Readers,
  signal: AbortSignal,
): Promise<ReadResult[]> {
  const read = (async () => {
    const reader = readers.get(chain.chain_id) ?? await open(chain);
    readers.set(chain.chain_id, reader);
    return await reader.read(chain.balances, signal);
  })();
  const results = await Promise.race([read, abort(signal).then(() => within(graceMs, read))]);
  return results ?? chain.balances.map(({ id }) => ({
    id,
    error: { code: "aborted", message: "the chain gave no answer in time", scope: "row" },
  }));
}

function abort(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
