import type { WalletBalance } from "./chains/adapter.ts";
import type { Log } from "./log.ts";
import type { ChainRead } from "./read_chains.ts";
import type { Recorded } from "./wallet_balances.ts";

/** What a chain answered: row by row at debug, and at warn when it was the chain that failed. */
export function logRead(log: Log, runId: string, { chain, results }: ChainRead): void {
  const balances = new Map(chain.balances.map((balance) => [balance.id, balance]));
  const chainFailures = new Map<string, { message: string; balances: number }>();
  for (const result of results) {
    const fields = describe(runId, chain.name, balances.get(result.id)!);
    if (!("error" in result)) {
      log.debug(`Fetched ${fields.asset_type} asset balance`, {
        ...fields,
        raw: result.raw,
        block: result.block,
      });
      continue;
    }
    const { code, message, scope } = result.error;
    log.debug("Balance was not read", { ...fields, code, error: message, scope });
    if (scope !== "chain") continue;
    const failure = chainFailures.get(code) ?? { message, balances: 0 };
    failure.balances++;
    chainFailures.set(code, failure);
  }
  for (const [code, { message, balances }] of chainFailures) {
    log.warn("Chain was not read", {
      run_id: runId,
      chain: chain.name,
      code,
      error: message,
      balances,
    });
  }
}

/** Which values were written, and at warn which ones the table refused. */
export function logRecorded(log: Log, runId: string, reads: ChainRead[], recorded: Recorded): void {
  const refused = new Set(recorded.refused.map(({ id }) => id));
  const unwritten = new Set([...recorded.stale, ...recorded.lost]);
  for (const { chain, results } of reads) {
    const balances = new Map(chain.balances.map((balance) => [balance.id, balance]));
    for (const result of results) {
      const fields = describe(runId, chain.name, balances.get(result.id)!);
      if ("error" in result) {
        const { code, message } = result.error;
        if (refused.has(result.id)) {
          log.warn("Wallet balance was refused", { ...fields, code, error: message });
        }
        continue;
      }
      if (unwritten.has(result.id)) continue;
      log.debug("Wallet balance synced successfully", { ...fields, raw: result.raw });
    }
  }
}

function describe(runId: string, chain: string, balance: WalletBalance) {
  return {
    run_id: runId,
    wallet_balance_id: balance.id,
    chain,
    asset_type: balance.is_native ? "native" : "token",
    asset_id: balance.asset_id,
    contract_address: balance.contract_address,
  };
}
