import { Refusal } from "./answer.ts";
import type { Chain, ErrorResult, ReadError, ReadResult, WalletBalance } from "./chains/adapter.ts";
import { callRepeatedly, type Database, DatabaseError } from "./database.ts";
import { redact } from "./redact.ts";
import type { RowFilter } from "./request.ts";
import type { Status } from "./status.ts";

/** Rows of one chain within a claim. */
export type ClaimedChain = Chain & { balances: WalletBalance[] };

/** Rows leased to this run until `locked_until`. */
export interface Claim {
  claim_id: string;
  locked_until: string;
  claimed: number;
  chains: ClaimedChain[];
}

/** What became of the results of one record: each is in exactly one of the first four. */
export interface Recorded {
  recorded: number;
  failed: number;
  /** A newer block is stored; the value was not written. */
  stale: string[];
  /** Not held by this claim any more; nothing was written. */
  lost: string[];
  /** Of the recorded ones, those that differ from the balance before. */
  changed: number;
  /** The error in place of each value that the table would not take; failed, or lost if refused too. */
  refused: ErrorResult[];
}

/**
 * Leases the next rows; null when there is none. Not repeated when the answer is lost: the rows it
 * leased would wait for their lease anyway, and the next run is 30 s away.
 */
export async function claimWalletBalances(
  database: Database,
  { workerId, batchSize, lockSeconds, only }: {
    workerId: string;
    batchSize: number | null;
    lockSeconds: number | null;
    only: RowFilter;
  },
): Promise<Claim | null> {
  const claiming = database.call("claim_wallet_balances", {
    worker_id: workerId,
    batch_size: batchSize,
    lock_seconds: lockSeconds,
    only: Object.keys(only).length > 0 ? only : null,
  });
  const claim = await claiming.catch((error) => {
    // What only Postgres could check of the request: whether there is such a chain.
    if (!(error instanceof DatabaseError && error.code === "22023")) throw error;
    throw new Refusal(400, "invalid_request", error.message);
  }) as Claim | { claim_id: null };
  return claim.claim_id === null ? null : claim as Claim;
}

/** Says good-bye: closes the run in `balance_sync.runs`. */
export async function endRun(
  database: Database,
  workerId: string,
  because: string,
  error: string | null,
): Promise<void> {
  const only = { ended: { because, error } };
  await database.call("claim_wallet_balances", { worker_id: workerId, only });
}

/**
 * Records what was read. Repeated while the database is in trouble, because a second record of the
 * same claim changes nothing. Rows deleted meanwhile count as lost. A value that the project's own
 * table refuses (a check, a trigger, a narrow numeric) is that row's error; a row that takes not even
 * an error is lost: it stays leased and is tried again when its lease ends.
 */
export async function recordWalletBalances(
  database: Database,
  claimId: string,
  results: ReadResult[],
): Promise<Recorded> {
  const values = await recordAccepted(database, claimId, results);
  if (values.refused.length === 0) return values;
  const errors = await recordAccepted(database, claimId, values.refused);
  const lost = errors.refused.map(({ id }) => id);
  return { ...sum(values, errors), lost: [...values.lost, ...errors.lost, ...lost] };
}

/** Records all the table takes: what is refused as a whole is halved until the guilty row stands alone. */
async function recordAccepted(
  database: Database,
  claimId: string,
  results: ReadResult[],
): Promise<Recorded> {
  if (results.length === 0) return nothing;
  const args = { claim_id: claimId, results: results.map(toElement) };
  try {
    const recorded = await callRepeatedly(database, "record_wallet_balances", args);
    return { ...nothing, ...recorded as Omit<Recorded, "refused"> };
  } catch (error) {
    const unknown = unknownIds(error);
    const known = results.filter(({ id }) => !unknown.has(id));
    if (known.length < results.length) {
      const deleted = results.filter(({ id }) => unknown.has(id)).map(({ id }) => id);
      const recorded = await recordAccepted(database, claimId, known);
      return { ...recorded, lost: [...recorded.lost, ...deleted] };
    }
    if (!isOfTheData(error)) throw error;
    if (results.length === 1) {
      const refusal: ReadError = { code: "balance_refused", message: error.message, scope: "row" };
      return { ...nothing, refused: [{ id: results[0]!.id, error: refusal }] };
    }
    const middle = Math.ceil(results.length / 2);
    return sum(
      await recordAccepted(database, claimId, results.slice(0, middle)),
      await recordAccepted(database, claimId, results.slice(middle)),
    );
  }
}

const nothing: Recorded = {
  recorded: 0,
  failed: 0,
  stale: [],
  lost: [],
  changed: 0,
  refused: [],
};

function sum(a: Recorded, b: Recorded): Recorded {
  return {
    recorded: a.recorded + b.recorded,
    failed: a.failed + b.failed,
    stale: [...a.stale, ...b.stale],
    lost: [...a.lost, ...b.lost],
    changed: a.changed + b.changed,
    refused: [...a.refused, ...b.refused],
  };
}

/** Gives rows back untouched; answers how many of them the claim still held. */
export async function releaseWalletBalances(
  database: Database,
  claimId: string,
  ids: string[],
): Promise<number> {
  return await callRepeatedly(database, "release_wallet_balances", {
    claim_id: claimId,
    wallet_balance_ids: ids,
  }) as number;
}

/** How the worker is doing, as `public.balance_sync_status()` tells it. */
export async function balanceSyncStatus(database: Database): Promise<Status> {
  return await database.call("balance_sync_status", {}) as Status;
}

/** Integers travel as decimal text: as JSON numbers they would be rounded above 2^53. */
function toElement(result: ReadResult): Record<string, unknown> {
  if ("error" in result) {
    const { code, message, scope } = result.error;
    return { id: result.id, error: { code, message: redact(message), scope } };
  }
  const { id, raw, block, chainId } = result;
  return {
    id,
    raw: raw.toString(),
    block: block.toString(),
    ...(chainId === undefined ? {} : { evm_chain_id: chainId.toString() }),
  };
}

/**
 * Whether it is the values that the table refused: a data exception, a constraint, or a trigger that
 * raises. 22023 is our own refusal of a call that makes no sense; SUP is what @supabase/lite makes of
 * a failed check (23514).
 */
function isOfTheData(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && /^(22...|23...|P0001|SUP)$/.test(error.code) &&
    error.code !== "22023";
}

/** The ids that `record_wallet_balances` refused because no such row exists. */
function unknownIds(error: unknown): Set<string> {
  if (!(error instanceof DatabaseError) || error.code !== "22023" || !error.details) {
    return new Set();
  }
  try {
    const ids: unknown = JSON.parse(error.details);
    return new Set(Array.isArray(ids) ? ids : []);
  } catch {
    return new Set();
  }
}
