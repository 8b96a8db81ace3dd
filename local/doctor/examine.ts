/** One examination: what the database sees of itself, and what only the outside can see. */
import type { Chain } from "../../functions/balance-sync/chains/adapter.ts";
import { DatabaseError, openDatabase } from "../../functions/balance-sync/database.ts";
import { redact } from "../../functions/balance-sync/redact.ts";
import { NotRun, type Project } from "../project.ts";
import { examineChains } from "./chains.ts";
import { examineFunction } from "./function.ts";

/** A row of `balance_sync.diagnose()`, or one of its kind from outside. */
export interface Finding {
  finding: string;
  severity: "error" | "warning" | "info";
  detail: string;
  affected: number;
  remedy: string;
}

export interface Report {
  project: string;
  healthy: boolean;
  examined: { chains: number; assets: number };
  findings: Finding[];
}

/** A chain as the claim names it to a worker, with its assets instead of balances. */
export interface ExaminedChain extends Chain {
  assets: {
    id: string;
    is_native: boolean | null;
    contract_address: string | null;
    decimals: number | null;
  }[];
}

/** `syncSecret`, where it is known, is tried on the function as the schedule would use it. */
export async function examine(
  { url, secretKey }: Pick<Project, "url" | "secretKey">,
  syncSecret?: string,
): Promise<Report> {
  const { chains, findings } = await examineDatabase(url, secretKey);
  const found = findings.concat(
    ...await Promise.all([examineFunction(url, secretKey, syncSecret), examineChains(chains)]),
  );
  const severities = ["error", "warning", "info"];
  const clean = found
    .map((one) => ({ ...one, detail: redact(one.detail), remedy: redact(one.remedy) }))
    .sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity));
  return {
    project: url,
    healthy: clean.length === 0,
    examined: { chains: chains.length, assets: chains.flatMap(({ assets }) => assets).length },
    findings: clean,
  };
}

async function examineDatabase(url: string, secretKey: string) {
  try {
    return await openDatabase(url, secretKey, { timeoutMs: 60_000 }).call(
      "claim_wallet_balances",
      { worker_id: "balance-sync-doctor", only: { examine: true } },
    ) as { chains: ExaminedChain[]; findings: Finding[] };
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw new NotRun(`Cannot examine ${url}: ${redact(error.message)}${hint(error.code)}`);
  }
}

/** What an operator can do about a database that does not let itself be examined. */
function hint(code: string): string {
  switch (code) {
    case "PGRST202":
    case "42883":
      return "\nThe migrations have not been applied: supabase db push";
    case "22023":
      return "\nThe migrations of the database are older than this doctor: supabase db push";
    case "42501":
      return "\nEither the key is no secret key, or service_role lost its right: grant execute on " +
        "function public.claim_wallet_balances(text, integer, integer, jsonb) to service_role;";
    default:
      return "";
  }
}
