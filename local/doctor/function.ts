/** Whether the function is there and opens to those who have to call it. */
import type { Finding } from "./examine.ts";

const patienceMs = 15_000;

export async function examineFunction(
  url: string,
  secretKey: string,
  syncSecret: string | undefined,
): Promise<Finding[]> {
  const health = `${url}/functions/v1/balance-sync/health`;
  const withKey = await knock(health, { apikey: secretKey });
  if (withKey === undefined) {
    return [unreachable("expected the function to answer, found nobody there")];
  }
  if (withKey.status === 404) {
    return [unreachable("expected a function balance-sync, found none deployed")];
  }
  if (withKey.status === 401 || withKey.status === 403) {
    return [{
      finding: "function_refuses_secret",
      severity: "error",
      detail:
        `expected the function to take this project's secret key, found HTTP ${withKey.status}: ` +
        "it holds another one, or was deployed without verify_jwt = false",
      affected: 1,
      remedy: "supabase functions deploy balance-sync",
    }];
  }
  if (withKey.status !== 200 && withKey.status !== 503) {
    return [unreachable(`expected the function to tell its health, found HTTP ${withKey.status}`)];
  }

  const findings: Finding[] = [];
  // The other reasons of a 503 are the database's, which was asked itself.
  const problems = withKey.reasons.filter((reason) => reason.startsWith("Cannot "));
  if (problems.length > 0) {
    findings.push({
      finding: "function_misconfigured",
      severity: "error",
      detail: problems.join("; "),
      affected: problems.length,
      remedy: "supabase secrets set <variable>=<value>",
    });
  }
  if (syncSecret) {
    const withSecret = await knock(health, { "x-balance-sync-secret": syncSecret });
    if (withSecret?.status === 401) {
      findings.push({
        finding: "function_refuses_secret",
        severity: "error",
        detail:
          "expected the function to take BALANCE_SYNC_SECRET of this environment, found that " +
          "it refuses it: its own is another one, or none",
        affected: 1,
        remedy: "supabase secrets set BALANCE_SYNC_SECRET=<the secret>",
      });
    }
  }
  return findings;
}

async function knock(url: string, headers: Record<string, string>) {
  try {
    const response = await fetch(url, {
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(patienceMs),
    });
    const text = await response.text();
    return { status: response.status, reasons: reasonsIn(text) };
  } catch {
    return undefined;
  }
}

function reasonsIn(text: string): string[] {
  try {
    const { reasons } = JSON.parse(text);
    return Array.isArray(reasons) ? reasons.map(String) : [];
  } catch {
    return [];
  }
}

function unreachable(detail: string): Finding {
  return {
    finding: "function_unreachable",
    severity: "error",
    detail,
    affected: 1,
    remedy: "supabase functions deploy balance-sync",
  };
}
