/** Plays pg_net's background worker where the extension is only stood in for. */
import type { Sql } from "./database.ts";

interface QueuedRequest {
  id: string;
  method: string;
  url: string;
  headers: Record<string, string> | null;
  body: string | null;
  timeout_milliseconds: number;
}

/**
 * Sends every queued request once and stores its answer. As with pg_net a request is seen only after
 * the commit that queued it, and one taken from the queue is never tried again.
 */
export async function sendQueuedRequests(sql: Sql, signal: AbortSignal): Promise<void> {
  const queued = await sql<QueuedRequest>(`
    delete from net.http_request_queue
    where id in (select id from net.http_request_queue order by id limit 200 for update skip locked)
    returning id::text, method::text, url, headers, convert_from(body, 'utf8') as body, timeout_milliseconds
  `);
  await Promise.all(queued.map((request) => send(sql, request, signal)));
}

async function send(sql: Sql, request: QueuedRequest, stopping: AbortSignal): Promise<void> {
  const { id, method, url, headers, body, timeout_milliseconds } = request;
  const timeout = AbortSignal.timeout(timeout_milliseconds);
  let answer: unknown[];
  try {
    const response = await fetch(url, {
      method,
      headers: headers ?? {},
      body: method === "GET" ? null : body,
      redirect: "manual",
      signal: AbortSignal.any([timeout, stopping]),
    });
    const content = await response.text();
    answer = [
      response.status,
      response.headers.get("content-type"),
      JSON.stringify(Object.fromEntries(response.headers)),
      content,
      false,
      null,
    ];
  } catch (error) {
    if (stopping.aborted) return;
    answer = timeout.aborted
      ? [null, null, null, null, true, `Timeout of ${timeout_milliseconds} ms reached`]
      : [null, null, null, null, false, String((error as Error).cause ?? error)];
  }
  await sql(
    `insert into net._http_response (id, status_code, content_type, headers, content, timed_out, error_msg)
     values ($1::text::bigint, $2, $3, $4::text::jsonb, $5, $6, $7)`,
    [id, ...answer],
  );
}
