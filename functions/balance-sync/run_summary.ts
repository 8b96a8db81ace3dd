import type { Chain, ReadResult } from "./chains/adapter.ts";
import type { Recorded } from "./wallet_balances.ts";

export type StopReason = "drained" | "max_batches" | "deadline" | "error";

/**
 * What a run did. Each claimed row is in exactly one of recorded, failed, stale, lost and released.
 */
export interface RunSummary {
  run_id: string;
  worker_id: string;
  batches: number;
  claimed: number;
  /** Rows with a value written. */
  recorded: number;
  /** Of the recorded, rows whose balance differs from the one before. */
  changed: number;
  /** Rows with an error written. */
  failed: number;
  /** Rows that hold the value of a newer block. */
  stale: number;
  /** Rows not held any more, or that the database could not be told about. */
  lost: number;
  /** Rows given back unread: at the deadline, in a dry run, or met a second time. */
  released: number;
  stopped_because: StopReason;
  duration_ms: number;
  chains: ChainSummary[];
  /** Only with `stopped_because: "error"`. */
  error?: { code: string; message: string };
  /** Only of a dry run: what would have been recorded. */
  results?: Reading[];
}

export interface ChainSummary {
  chain_id: string;
  name: string;
  claimed: number;
  recorded: number;
  failed: number;
  rpc_calls: number;
  /** How many rows could not be read, by code. */
  errors: Record<string, number>;
}

/** A result as people are told it. */
export type Reading =
  & { id: string; chain: string }
  & ({ raw: string; block: string } | { error: { code: string; message: string } });

/** A step of a run, as told to whoever asked for NDJSON. */
export type Progress =
  | { event: "claimed"; batch: number; claimed: number; chains: Record<string, number> }
  | ({ event: "recorded"; batch: number; released: number; failures: Reading[] } & Counts)
  | { event: "read"; batch: number; results: Reading[] };

type Counts = Record<"recorded" | "changed" | "failed" | "stale" | "lost", number>;

export function emptySummary(runId: string): RunSummary {
  return {
    run_id: runId,
    worker_id: `balance-sync:${runId}`,
    batches: 0,
    claimed: 0,
    recorded: 0,
    changed: 0,
    failed: 0,
    stale: 0,
    lost: 0,
    released: 0,
    stopped_because: "error",
    duration_ms: 0,
    chains: [],
  };
}

/** The chain's part of the summary, begun when the run first meets the chain. */
export function chainSummary(summary: RunSummary, { chain_id, name }: Chain): ChainSummary {
  let chain = summary.chains.find((known) => known.chain_id === chain_id);
  if (!chain) {
    chain = { chain_id, name, claimed: 0, recorded: 0, failed: 0, rpc_calls: 0, errors: {} };
    summary.chains.push(chain);
  }
  return chain;
}

/** Adds what a record did to the totals. */
export function addRecorded(summary: RunSummary, recorded: Recorded): Counts {
  const { stale, lost, refused: _, ...written } = recorded;
  const counts = { ...written, stale: stale.length, lost: lost.length };
  summary.recorded += counts.recorded;
  summary.changed += counts.changed;
  summary.failed += counts.failed;
  summary.stale += counts.stale;
  summary.lost += counts.lost;
  return counts;
}

export function toReading(chain: Chain, result: ReadResult): Reading {
  const { id } = result;
  if ("error" in result) {
    const { code, message } = result.error;
    return { id, chain: chain.name, error: { code, message } };
  }
  return { id, chain: chain.name, raw: result.raw.toString(), block: result.block.toString() };
}
