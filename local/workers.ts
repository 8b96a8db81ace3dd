import { setTimeout as delay } from "node:timers/promises";
import type { Sql } from "./database.ts";
import { createTicker } from "./pg_cron.ts";
import { sendQueuedRequests } from "./pg_net.ts";

/** Runs the workers of pg_net and pg_cron, unless the database has the real ones. */
export async function startWorkers(sql: Sql, onLog = (_: string) => {}): Promise<AsyncDisposable> {
  const installed = await sql<{ extname: string }>("select extname from pg_catalog.pg_extension");
  const real = new Set(installed.map((extension) => extension.extname));
  const stopping = new AbortController();
  const tick = createTicker(sql);
  const loops = [
    ...real.has("pg_net") ? [] : [repeat(100, () => sendQueuedRequests(sql, stopping.signal))],
    ...real.has("pg_cron") ? [] : [repeat(500, () => tick(Date.now()))],
  ];
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await Promise.all(loops);
    },
  };

  async function repeat(everyMs: number, work: () => Promise<void>): Promise<void> {
    while (!stopping.signal.aborted) {
      await work().catch((error) => onLog(String(error)));
      await delay(everyMs, null, { signal: stopping.signal }).catch(() => {});
    }
  }
}
