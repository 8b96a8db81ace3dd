import type { Status } from "./status.ts";

/** Ten ticks of the default schedule: a row due for longer is not waiting its turn. */
const lateSeconds = 300;

/**
 * Why balances are not kept up to date, one sentence per cause. None: healthy. What the status warns
 * of is no cause yet: a project without a schedule may be synced by hand, and one whose schedule
 * fails has rows due for too long.
 */
export function unhealthyBecause({ chains }: Status): string[] {
  const reasons: string[] = [];
  for (const { name, is_active, out_since, error, oldest_due_seconds, stale_since } of chains) {
    if (!is_active) continue;
    if (stale_since !== null && Date.parse(stale_since) < Date.now() - lateSeconds * 1000) {
      reasons.push(
        `chain ${name} has answered only older blocks than those recorded since ${stale_since}`,
      );
    } else if (out_since !== null) {
      reasons.push(`chain ${name} has been out since ${out_since}: ${error}`);
    } else if ((oldest_due_seconds ?? 0) > lateSeconds) {
      reasons.push(
        `chain ${name} has balances due for ${oldest_due_seconds} s, expected at most ${lateSeconds} s`,
      );
    }
  }
  return reasons;
}
