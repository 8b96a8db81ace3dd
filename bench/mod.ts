/**
 * `deno task bench [name …]`: every benchmark of this folder, one after the other, or those named
 * (`deno task bench read_evm`). Each runs in a process of its own, so that none measures what another
 * left behind; each measures its peers in the same run.
 */
const benchmarks: Record<string, string> = {
  read_evm: "reading 1,000 EVM balances, beside viem and ethers",
  read_cold_start: "the CPU of a cold start, beside the two libraries it needs",
  claim_peers: "claim and record a million rows, beside queues and bare SQL",
  claim_scale: "claims of 100,000 and of 10 million rows",
  claim_churn: "claims after two million syncs",
  claim_burdens: "what rows that cannot be synced cost those that can",
  claim_data_api: "what the Data API adds to a claim",
  adoption: "how long a million adopted rows keep others waiting",
  fan_out: "100,000 rows by 1, 2, 4 and 8 runs at a time",
};

const chosen = Deno.args.length > 0 ? Deno.args : Object.keys(benchmarks);
const unknown = chosen.find((name) => !Object.hasOwn(benchmarks, name));
if (unknown !== undefined) {
  console.error(
    `Cannot run the benchmark "${unknown}": expected ${Object.keys(benchmarks).join(", ")}`,
  );
  Deno.exit(2);
}

let failed = 0;
for (const name of chosen) {
  console.log(`\n${name}: ${benchmarks[name]}`);
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL(`${name}.ts`, import.meta.url).href],
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (!success) failed++;
}
Deno.exit(failed > 0 ? 1 : 0);
