import { asRefusal, logged } from "./answer.ts";
import type { Database } from "./database.ts";
import type { Log } from "./log.ts";
import type { OpenChain, Readers } from "./read_chains.ts";
import { redact } from "./redact.ts";
import type { SyncRequest } from "./request.ts";
import {
  chainSummary,
  emptySummary,
  type Progress,
  type RunSummary,
  type StopReason,
} from "./run_summary.ts";
import { syncClaim } from "./sync_claim.ts";
import {
  type Claim,
  claimWalletBalances,
  endRun,
  releaseWalletBalances,
} from "./wallet_balances.ts";

/** One run: what was asked for, who gives and reads the rows, who is told, when it stops. */
export interface Run {
  request: SyncRequest;
  lockSeconds: number | null;
  database: Database;
  openChain: OpenChain;
  log: Log;
  progress: (event: Progress) => void;
  /** Aborts at the deadline, and when the platform is about to end the isolate. */
  signal: AbortSignal;
}

/** What a run keeps from batch to batch. */
export interface RunState {
  summary: RunSummary;
  readers: Readers;
  /** Rows met so far. Kept only with a row filter, which hands out rows whether due or not. */
  met: Set<string>;
  /** Rows still leased to this run, by claim. */
  leased: Map<string, Set<string>>;
  /** Rows met again, by claim: leased as well, but counted once. */
  again: Map<string, string[]>;
}

/**
 * Claims balances, reads them chain by chain and records what was found, until none is left. Throws
 * only when the first claim fails; a run that got further ends with a summary that says why.
 */
export async function syncBalances(runId: string, run: Run): Promise<RunSummary> {
  const startedAt = performance.now();
  const summary = emptySummary(runId);
  const state: RunState = {
    summary,
    readers: new Map(),
    met: new Set(),
    leased: new Map(),
    again: new Map(),
  };
  let failure: unknown;
  try {
    summary.stopped_because = await syncBatches(run, state);
  } catch (error) {
    failure = error;
    const refusal = asRefusal(error);
    summary.error = { code: refusal.code, message: redact(refusal.message) };
    run.log.error("Balance sync stopped", { run_id: runId, ...logged(refusal) });
  }
  await giveBack(run, state);
  await sayGoodbye(run, summary);

  for (const chain of summary.chains) {
    chain.rpc_calls = state.readers.get(chain.chain_id)?.rpcCalls ?? 0;
  }
  summary.duration_ms = Math.round(performance.now() - startedAt);
  run.log.info("Balance sync run ended", { ...summary, results: undefined });
  if (failure !== undefined && summary.claimed === 0) throw failure;
  return summary;
}

async function syncBatches(run: Run, state: RunState): Promise<StopReason> {
  const { summary, met } = state;
  const { batchSize, maxBatches } = run.request;
  const only = { ...run.request.only };
  while (summary.batches < maxBatches) {
    if (run.signal.aborted) return "deadline";
    if (only.wallet_balance_ids) {
      only.wallet_balance_ids = only.wallet_balance_ids.filter((id) => !met.has(id.toLowerCase()));
      if (only.wallet_balance_ids.length === 0) return "drained";
    }
    const claim = await claimWalletBalances(run.database, {
      workerId: summary.worker_id,
      batchSize,
      lockSeconds: run.lockSeconds,
      only,
    });
    if (claim === null) return "drained";
    takeIn(claim, state, Object.keys(only).length > 0);
    if (claim.chains.length === 0) continue;
    summary.batches++;
    await syncClaim(claim, run, state);
  }
  return "max_batches";
}

/**
 * Counts a claim. With a row filter, rows met before are taken out of it but stay leased until the
 * run ends: so the next claim brings others, and none when all have been met.
 */
function takeIn(claim: Claim, state: RunState, isFiltered: boolean): void {
  const { summary, met, leased, again } = state;
  if (isFiltered) {
    const ids = claim.chains.flatMap(({ balances }) => balances.map(({ id }) => id));
    again.set(claim.claim_id, ids.filter((id) => met.has(id)));
    for (const chain of claim.chains) {
      chain.balances = chain.balances.filter(({ id }) => !met.has(id));
    }
    claim.chains = claim.chains.filter(({ balances }) => balances.length > 0);
    for (const id of ids) met.add(id);
  }
  const ids = new Set<string>();
  for (const chain of claim.chains) {
    chainSummary(summary, chain).claimed += chain.balances.length;
    for (const { id } of chain.balances) ids.add(id);
  }
  summary.claimed += ids.size;
  leased.set(claim.claim_id, ids);
}

/** Gives back what is still leased. What cannot be given back is lost until its lease ends. */
async function giveBack({ database, log }: Run, state: RunState): Promise<void> {
  const { summary, leased, again } = state;
  // After a failure its attempts have used up the time there was for more.
  const giving = summary.error ? { ...database, retryPausesMs: [] } : database;
  try {
    for (const [claimId, ids] of leased) {
      if (ids.size > 0) {
        summary.released += await releaseWalletBalances(giving, claimId, [...ids]);
      }
    }
    for (const [claimId, ids] of again) {
      if (ids.length > 0) await releaseWalletBalances(giving, claimId, ids);
    }
  } catch (error) {
    const refusal = asRefusal(error);
    log.warn("Balances could not be given back", { run_id: summary.run_id, ...logged(refusal) });
  }
  const { claimed, recorded, failed, stale, lost, released } = summary;
  summary.lost += claimed - (recorded + failed + stale + lost + released);
}

/** Closes the run in the ledger; a run that cannot is closed by the watchdog. */
async function sayGoodbye({ database, log }: Run, summary: RunSummary): Promise<void> {
  if (summary.error?.code === "database_unavailable") return;
  try {
    await endRun(database, summary.worker_id, summary.stopped_because, summary.error?.code ?? null);
  } catch (error) {
    const refusal = asRefusal(error);
    log.warn("The end of the run could not be noted", {
      run_id: summary.run_id,
      ...logged(refusal),
    });
  }
}
