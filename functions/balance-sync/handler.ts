import { asRefusal, json, logged, Refusal, refuse } from "./answer.ts";
import { authorize } from "./authorize.ts";
import { openChain } from "./chains/mod.ts";
import type { Config } from "./config.ts";
import { type Database, openDatabase } from "./database.ts";
import { unhealthyBecause } from "./health.ts";
import { createLog } from "./log.ts";
import { toMetrics } from "./metrics.ts";
import { stream } from "./ndjson.ts";
import { hide, redact } from "./redact.ts";
import { acceptsNdjson, prefersAsync, readRunId, readSyncRequest } from "./request.ts";
import type { Progress } from "./run_summary.ts";
import { syncBalances } from "./sync_balances.ts";
import { balanceSyncStatus } from "./wallet_balances.ts";

/** Answers the function's requests. `unload` aborts when the platform is about to end the isolate. */
export function createHandler(
  config: Config,
  unload: AbortSignal = new AbortController().signal,
): (request: Request) => Promise<Response> {
  hide(...config.secrets, ...config.secretKeys);
  const log = createLog(config.logLevel);
  for (const problem of config.problems) log.error(problem);
  let opened: Database | undefined;

  return async (request) => {
    try {
      return await answer(request);
    } catch (error) {
      const refusal = asRefusal(error);
      if (refusal.status >= 500) log.error("Request failed", logged(refusal));
      return refuse(refusal);
    }
  };

  async function answer(request: Request): Promise<Response> {
    if (!await authorize(request, config)) {
      throw new Refusal(401, "unauthorized", "Cannot serve this caller: expected a valid secret");
    }
    switch (pathOf(request)) {
      case "/":
        only("POST", request);
        return await sync(request);
      case "/health":
        only("GET", request);
        return await health();
      case "/metrics":
        only("GET", request);
        return await metrics();
      default: {
        const expected = "expected /, /health or /metrics of balance-sync";
        throw new Refusal(404, "not_found", `Cannot find this path: ${expected}`);
      }
    }
  }

  async function sync(request: Request): Promise<Response> {
    const runId = readRunId(request);
    const asked = await readSyncRequest(request);
    const run = async (progress: (step: Progress) => void) => {
      const deadline = new AbortController();
      const timer = setTimeout(() => deadline.abort(), config.deadlineMs);
      try {
        return await syncBalances(runId, {
          request: { ...asked, batchSize: asked.batchSize ?? config.batchSize },
          lockSeconds: config.lockSeconds,
          database: database(),
          openChain,
          log,
          progress,
          signal: AbortSignal.any([deadline.signal, unload]),
        });
      } finally {
        clearTimeout(timer);
      }
    };

    if (prefersAsync(request)) {
      database();
      keepAlive(run(() => {}));
      return json({ run_id: runId }, 202, { "preference-applied": "respond-async" });
    }
    if (acceptsNdjson(request)) return await stream((tell) => keepAlive(run(tell)));
    return json(await keepAlive(run(() => {})));
  }

  async function health(): Promise<Response> {
    let warnings: string[] = [];
    let reasons = config.problems;
    if (reasons.length === 0) {
      try {
        const status = await balanceSyncStatus(database());
        warnings = status.warnings.map(redact);
        reasons = unhealthyBecause(status);
      } catch (error) {
        reasons = [asRefusal(error).message];
      }
    }
    if (reasons.length === 0) return json({ status: "healthy", warnings });
    reasons = reasons.map(redact);
    const error = { code: "unhealthy", message: reasons.join("; ") };
    return json({ status: "unhealthy", reasons, warnings, error }, 503);
  }

  async function metrics(): Promise<Response> {
    return new Response(toMetrics(await balanceSyncStatus(database())), {
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    });
  }

  function database(): Database {
    if (config.problems.length > 0) {
      throw new Refusal(500, "misconfigured", config.problems.join("; "));
    }
    return opened ??= openDatabase(config.supabaseUrl, config.databaseKey);
  }
}

/** The path below the function: the platform hands it over without /functions/v1, others may not. */
function pathOf(request: Request): string {
  const { pathname } = new URL(request.url);
  const below = pathname.replace(/^(\/functions\/v1)?\/balance-sync(?=\/|$)/, "");
  return below.replace(/\/+$/, "") || "/";
}

function only(method: string, request: Request): void {
  if (request.method === method) return;
  const message = `Cannot ${request.method} this path: expected ${method}`;
  throw new Refusal(405, "method_not_allowed", message, { allow: method });
}

/** Lets work outlive its answer and its caller. Off the platform the process lives on by itself. */
function keepAlive<T>(work: Promise<T>): Promise<T> {
  const { EdgeRuntime } = globalThis as {
    EdgeRuntime?: { waitUntil(work: Promise<unknown>): void };
  };
  const settled = work.then(() => {}, () => {});
  EdgeRuntime?.waitUntil(settled);
  return work;
}
