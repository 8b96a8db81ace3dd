import type { Status } from "./status.ts";

type Sample = [labels: Record<string, string>, value: number | string | null];

/**
 * The state in Prometheus text format. All gauges, the ledger's sums too: they shrink when old runs
 * are pruned, and a counter must not. A value that is not known yet has no sample.
 */
export function toMetrics(status: Status): string {
  const { chains, totals } = status;
  const upTo = `counted up to ${status.counts_stop_at}`;
  const perChain = (value: (chain: Status["chains"][number]) => number | string | null) =>
    chains.map((chain): Sample => [{ chain: chain.name, chain_id: chain.chain_id }, value(chain)]);
  const outcomes = ["recorded", "failed", "stale", "lost", "released"];

  return [
    gauge("due_balances", `Balances due now, ${upTo}.`, status.due),
    gauge("leased_balances", "Balances that a run holds now.", status.leased),
    gauge("parked_balances", `Balances that cannot be synced as they are, ${upTo}.`, status.parked),
    gauge("unparking_assets", "Mended assets whose balances are being made due.", status.unparking),
    gauge(
      "oldest_due_age_seconds",
      "How long the longest due balance has been due.",
      status.oldest_due_seconds ?? 0,
    ),
    gauge("live_runs", "Runs with a heartbeat in the last two minutes.", status.live_runs),
    gauge("last_heartbeat_age_seconds", "Since any run was alive.", status.last_heartbeat_seconds),
    gauge("warnings", "Findings that need an operator; GET /health names them.", [
      [{}, status.warnings.length],
    ]),
    gauge("chain_due_balances", `Balances due now, ${upTo}.`, perChain((c) => c.due)),
    gauge("chain_leased_balances", "Balances that a run holds now.", perChain((c) => c.leased)),
    gauge(
      "chain_oldest_due_age_seconds",
      "How long the longest due balance has been due.",
      perChain((c) => c.oldest_due_seconds ?? 0),
    ),
    gauge(
      "chain_out",
      "1 while the chain does not answer.",
      perChain((c) => c.out_since === null ? 0 : 1),
    ),
    gauge("chain_last_block", "Newest block a balance was read at.", perChain((c) => c.last_block)),
    gauge("ledger_runs", "Runs the ledger keeps.", totals.runs ?? 0),
    gauge("ledger_claimed_balances", "Claimed by the runs of the ledger.", totals.claimed ?? 0),
    gauge(
      "ledger_changed_balances",
      "Found changed by the runs of the ledger.",
      totals.changed ?? 0,
    ),
    gauge(
      "ledger_balances",
      "What became of the balances claimed by the runs of the ledger.",
      outcomes.map((outcome): Sample => [{ outcome }, totals[outcome] ?? 0]),
    ),
  ].join("");
}

function gauge(name: string, help: string, samples: Sample[] | Sample[1]): string {
  const all: Sample[] = Array.isArray(samples) ? samples : [[{}, samples]];
  const lines = all
    .filter(([, value]) => value !== null)
    .map(([labels, value]) => `balance_sync_${name}${labelled(labels)} ${value}\n`);
  if (lines.length === 0) return "";
  return `# HELP balance_sync_${name} ${help}\n# TYPE balance_sync_${name} gauge\n${
    lines.join("")
  }`;
}

function labelled(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replace(/[\\"\n]/g, (c) => c === "\n" ? "\\n" : `\\${c}`);
    return `${name}="${escaped}"`;
  });
  return pairs.length > 0 ? `{${pairs.join(",")}}` : "";
}
