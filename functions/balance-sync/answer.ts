import { DatabaseError } from "./database.ts";
import { redact } from "./redact.ts";

/** A request that is not served, with the status, code and message its caller gets. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Record<string, string> = {},
    options: ErrorOptions = {},
  ) {
    super(message, options);
  }
}

/** What an error means to the caller. Of a bug of ours only the log tells more than the name. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (!(error instanceof DatabaseError)) {
    const name = error instanceof Error ? error.name : typeof error;
    const message = `Cannot finish: an unexpected ${name} was thrown`;
    return new Refusal(500, "internal_error", message, {}, { cause: error });
  }
  if (error.passing) return new Refusal(503, "database_unavailable", error.message);
  return new Refusal(500, "database_error", error.message);
}

/** An answer in JSON; no cache may keep it. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}

/** Every error has the shape `{"error": {"code", "message"}}`. */
export function refuse({ status, code, message, headers }: Refusal): Response {
  return json({ error: { code, message: redact(message) } }, status, headers);
}

/** A refusal as a log line tells it: the place of a bug included. */
export function logged({ code, message, cause }: Refusal): Record<string, unknown> {
  return { code, error: message, ...cause instanceof Error && { stack: cause.stack } };
}
