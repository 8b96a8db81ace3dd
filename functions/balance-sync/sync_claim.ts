import type { ReadResult } from "./chains/adapter.ts";
import { type ChainRead, readChains } from "./read_chains.ts";
import { logRead, logRecorded } from "./row_log.ts";
import {
  addRecorded,
  type ChainSummary,
  chainSummary,
  type Reading,
  toReading,
} from "./run_summary.ts";
import type { Run, RunState } from "./sync_balances.ts";
import { type Claim, recordWalletBalances, releaseWalletBalances } from "./wallet_balances.ts";

/** Reads the rows of one claim and records what each chain answered, as it arrives. */
export async function syncClaim(claim: Claim, run: Run, state: RunState): Promise<void> {
  const { summary, readers } = state;
  const chains = Object.fromEntries(
    claim.chains.map(({ name, balances }) => [name, balances.length]),
  );
  const claimed = claim.chains.reduce((sum, { balances }) => sum + balances.length, 0);
  run.progress({ event: "claimed", batch: summary.batches, claimed, chains });

  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), readingTimeMs(claim));
  const signal = AbortSignal.any([run.signal, stop.signal]);
  try {
    for await (const reads of readChains(claim.chains, run.openChain, readers, signal)) {
      for (const read of reads) logRead(run.log, summary.run_id, read);
      if (run.request.dryRun) report(reads, run, state);
      else await record(claim.claim_id, reads, run, state);
    }
  } finally {
    clearTimeout(timer);
    // Whatever still reads after a failed record reads for nothing.
    stop.abort();
  }
}

/** A dry run tells what it read. Its rows stay leased until it ends, so that it meets each once. */
function report(reads: ChainRead[], run: Run, { summary }: RunState): void {
  const results = reads.flatMap(({ chain, results }) =>
    results.filter(wasRead).map((result) => toReading(chain, result))
  );
  for (const { chain, results } of reads) {
    countErrors(chainSummary(summary, chain), results.filter(wasRead));
  }
  (summary.results ??= []).push(...results);
  run.progress({ event: "read", batch: summary.batches, results });
}

/** Records what was read and gives back what was not. */
async function record(
  claimId: string,
  reads: ChainRead[],
  run: Run,
  { summary, leased }: RunState,
): Promise<void> {
  const read = reads.flatMap(({ results }) => results.filter(wasRead));
  const recorded = await recordWalletBalances(run.database, claimId, read);
  const counts = addRecorded(summary, recorded);
  const refused = new Map(recorded.refused.map((result) => [result.id, result]));
  reads = reads.map(({ chain, results }) => ({
    chain,
    results: results.map((result) => refused.get(result.id) ?? result),
  }));
  logRecorded(run.log, summary.run_id, reads, recorded);

  const unwritten = new Set([...recorded.stale, ...recorded.lost]);
  const failures: Reading[] = [];
  for (const { chain, results } of reads) {
    const written = results.filter((result) => wasRead(result) && !unwritten.has(result.id));
    const failed = written.filter((result) => "error" in result);
    const counted = chainSummary(summary, chain);
    counted.recorded += written.length - failed.length;
    counted.failed += failed.length;
    countErrors(counted, failed);
    failures.push(...failed.map((result) => toReading(chain, result)));
  }
  const held = leased.get(claimId);
  for (const { id } of read) held?.delete(id);

  const unread = reads.flatMap(({ results }) =>
    results.filter((result) => !wasRead(result)).map(({ id }) => id)
  );
  let released = 0;
  if (unread.length > 0) {
    released = await releaseWalletBalances(run.database, claimId, unread);
    summary.released += released;
    for (const id of unread) held?.delete(id);
  }
  run.progress({ event: "recorded", batch: summary.batches, ...counts, released, failures });
}

function wasRead(result: ReadResult): boolean {
  return !("error" in result && result.error.code === "aborted");
}

function countErrors(chain: ChainSummary, results: ReadResult[]): void {
  for (const result of results) {
    if (!("error" in result)) continue;
    const { code } = result.error;
    chain.errors[code] = (chain.errors[code] ?? 0) + 1;
  }
}

/**
 * Four fifths of the lease are for reading, the rest is for recording; with the default lease of
 * 120 s the run's deadline comes first. A clock that is off from the database's by more than a lease
 * leaves the deadline alone: a row recorded too late is lost, never wrong.
 */
function readingTimeMs({ locked_until }: Claim): number {
  const leaseMs = Date.parse(locked_until) - Date.now();
  return leaseMs > 0 ? leaseMs * 0.8 : 2 ** 31 - 1;
}
