/** A sync on a terminal: failing rows as they come, below them one line that moves. */
import { bold, dim, green, red, yellow } from "@std/fmt/colors";
import type { Progress, Reading, RunSummary } from "../functions/balance-sync/run_summary.ts";
import { layOut } from "./table.ts";

const WIDTH = 30;

export interface ProgressBar {
  step(event: Progress): void;
  /** Takes the moving line away and leaves the table of the run. */
  end(summary: RunSummary): void;
}

/** `expected` is how many rows there may be; the bar is as long as it or what was claimed. */
export function createProgressBar(expected: number, write: (text: string) => void): ProgressBar {
  const started = performance.now();
  const done = { claimed: 0, settled: 0, failed: 0 };

  function draw(): void {
    const total = Math.max(expected, done.claimed, 1);
    const filled = Math.floor((done.settled / total) * WIDTH);
    const seconds = (performance.now() - started) / 1000;
    const failed = done.failed > 0 ? red(`  ${done.failed} failed`) : "";
    write(
      `\r\x1b[K${green("█".repeat(filled))}${dim("░".repeat(WIDTH - filled))} ` +
        `${done.settled} of ${total}${failed}${dim(`  ${seconds.toFixed(1)} s`)}`,
    );
  }

  function tell(readings: Reading[]): void {
    for (const reading of readings) {
      const { id, chain } = reading;
      if ("error" in reading) {
        const { code, message } = reading.error;
        write(`\r\x1b[K${red(code)}  ${chain}  ${dim(id)}  ${message}\n`);
      } else {
        write(`\r\x1b[K${reading.raw}  ${chain}  ${dim(id)}  ${dim(`block ${reading.block}`)}\n`);
      }
    }
  }

  return {
    step(event) {
      if (event.event === "claimed") {
        done.claimed += event.claimed;
      } else if (event.event === "read") {
        done.settled += event.results.length;
        done.failed += event.results.filter((reading) => "error" in reading).length;
        tell(event.results);
      } else {
        const { recorded, failed, stale, lost, released } = event;
        done.settled += recorded + failed + stale + lost + released;
        done.failed += failed;
        tell(event.failures);
      }
      draw();
    },
    end(summary) {
      write(`\r\x1b[K${table(summary)}\n`);
    },
  };
}

function table(summary: RunSummary): string {
  const { recorded, changed, failed, stale, lost, released, batches } = summary;
  const number = (value: number) => ({ right: String(value) });
  const head = ["claimed", "recorded", "failed", "RPC requests"].map((right) => ({ right }));
  const lines = layOut([
    ["chain", ...head, "errors"],
    ...summary.chains.map(({ name, claimed, recorded, failed, rpc_calls, errors }) => [
      name,
      ...[claimed, recorded, failed, rpc_calls].map(number),
      Object.entries(errors).map(([code, count]) => `${count} ${code}`).join(", "),
    ]),
  ]);
  const others = Object.entries({ stale, lost, released }).filter(([, count]) => count > 0);
  return [
    ...summary.chains.length > 0 ? [dim(lines[0]!), ...lines.slice(1), ""] : [],
    [
      bold(`${recorded} recorded`) + dim(` (${changed} changed)`),
      failed > 0 ? red(`${failed} failed`) : `${failed} failed`,
      ...others.map(([name, count]) => yellow(`${count} ${name}`)),
      dim(
        `${batches} ${batches === 1 ? "batch" : "batches"} in ${
          (summary.duration_ms / 1000).toFixed(1)
        } s`,
      ),
      summary.stopped_because,
    ].join("  "),
    ...summary.error ? [red(summary.error.message)] : [],
  ].join("\n");
}
