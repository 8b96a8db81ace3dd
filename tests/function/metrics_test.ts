import { assertEquals, assertStringIncludes } from "@std/assert";
import { toMetrics } from "../../functions/balance-sync/metrics.ts";
import type { Status } from "../../functions/balance-sync/status.ts";
import { evmAddress, get, onProject, post } from "./project.ts";

const idle: Status = {
  due: 0,
  leased: 0,
  oldest_due_seconds: null,
  parked: 0,
  unparking: 0,
  counts_stop_at: 10000,
  live_runs: 0,
  last_heartbeat_seconds: null,
  chains: [],
  totals: {},
  warnings: [],
};

const chain = {
  chain_id: "0b9c4f6e-8d0a-4f1e-9a51-2f1f1d6f0a01",
  name: 'a "chain"\\\nof two lines',
  is_active: true,
  due: 3,
  leased: 1,
  oldest_due_seconds: 12,
  out_since: "2026-11-20T20:00:00Z",
  stale_since: null,
  error: "rpc_timeout",
  last_block: "68123456",
};

const promtool = await hasPromtool();

async function hasPromtool(): Promise<boolean> {
  try {
    // throws where there is no such program, it does not reject
    return (await new Deno.Command("promtool", {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).output()).success;
  } catch {
    return false;
  }
}

Deno.test("a project without chains has no samples of chains, and no time since a run that never was", () => {
  const text = toMetrics(idle);
  assertEquals(text.includes("balance_sync_chain_"), false);
  assertEquals(text.includes("last_heartbeat"), false);
  assertStringIncludes(text, "\nbalance_sync_due_balances 0\n");
});

Deno.test("a chain's name is escaped in its label", () => {
  assertStringIncludes(
    toMetrics({ ...idle, chains: [chain] }),
    `\nbalance_sync_chain_due_balances{chain="a \\"chain\\"\\\\\\nof two lines",chain_id="${chain.chain_id}"} 3\n`,
  );
});

Deno.test({
  name: promtool
    ? "promtool finds nothing to say about the metrics"
    : "promtool finds nothing to say about the metrics (ignored: no promtool, Debian has it in prometheus)",
  ignore: !promtool,
  async fn() {
    const namesake = { ...chain, chain_id: crypto.randomUUID(), last_block: null };
    const busy = {
      ...idle,
      chains: [chain, namesake],
      last_heartbeat_seconds: 4,
      totals: { runs: 7, claimed: 900, recorded: 880 },
      warnings: ["something"],
    };
    for (const status of [idle, busy]) assertEquals(await check(toMetrics(status)), "");
    // It does find something in metrics of which it would have to.
    assertStringIncludes(await check("balance_sync_x_total 1\n"), "balance_sync_x_total");
  },
});

onProject("the metrics of a project", {
  async "count what has become of the balances"({ project, node }) {
    const ethereum = await project.addChain("ethereum", node.url);
    await project.addBalances(ethereum, [evmAddress(1), evmAddress(2)]);
    await project.addBalances(ethereum, [evmAddress(1)], { contract: evmAddress(999) });
    const run = await project.handler()(post());
    await run.body?.cancel();
    await project.sql(
      "update public.wallet_balances set next_sync_at = now() where last_error is null",
    );

    const response = await project.handler()(get("/metrics"));
    assertEquals(response.status, 200);
    assertStringIncludes(response.headers.get("content-type")!, "text/plain; version=0.0.4");
    const text = await response.text();
    for (
      const line of [
        'balance_sync_ledger_balances{outcome="recorded"} 2',
        'balance_sync_ledger_balances{outcome="failed"} 1',
        "balance_sync_ledger_claimed_balances 3",
        "balance_sync_ledger_runs 1",
        "balance_sync_due_balances 2",
        "balance_sync_warnings 0",
        `balance_sync_chain_out{chain="ethereum",chain_id="${ethereum}"} 0`,
      ]
    ) assertStringIncludes(text, `${line}\n`);
    if (promtool) assertEquals(await check(text), "");
  },
});

/** What `promtool check metrics` says; nothing when all is well. */
async function check(text: string): Promise<string> {
  const command = new Deno.Command("promtool", {
    args: ["check", "metrics"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  });
  const process = command.spawn();
  await new Blob([text]).stream().pipeTo(process.stdin);
  const { stdout, stderr, success } = await process.output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  return success ? said : `failed: ${said}`;
}
