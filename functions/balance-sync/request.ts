import { Refusal } from "./answer.ts";

/** What `POST /` was asked to do. */
export interface SyncRequest {
  /** Which rows; due or not. Empty: the rows that are due. */
  only: RowFilter;
  batchSize: number | null;
  maxBatches: number;
  /** Reads and reports, records nothing. */
  dryRun: boolean;
}

export interface RowFilter {
  wallet_balance_ids?: string[];
  wallet_ids?: string[];
  chain?: string;
}

const maxBytes = 64 * 1024;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Every key a body may have: what is expected of its value, in words and as a check. */
const keys: Record<string, [expected: string, accepts: (value: unknown) => boolean]> = {
  wallet_balance_ids: ["an array of at most 1000 uuids", isUuids],
  wallet_ids: ["an array of at most 1000 uuids", isUuids],
  chain: ["the name of a chain", (value) => typeof value === "string" && value.trim() !== ""],
  batch_size: ["an integer from 1 to 1000", (value) => isInteger(value) && value <= 1000],
  max_batches: ["an integer of at least 1", isInteger],
  dry_run: ["true or false", (value) => typeof value === "boolean"],
};

/**
 * Reads the body of `POST /`, whatever its Content-Type says: empty, or a JSON object. The first
 * thing wrong with it is refused by name.
 */
export async function readSyncRequest(request: Request): Promise<SyncRequest> {
  const body = parse(await readText(request));
  for (const [key, value] of Object.entries(body)) {
    if (!Object.hasOwn(keys, key)) {
      throw invalid(`unknown key ${quote(key)}, expected one of ${Object.keys(keys).join(", ")}`);
    }
    const [expected, accepts] = keys[key]!;
    if (!accepts(value)) throw invalid(`${key} must be ${expected}, found ${quote(value)}`);
  }
  const { batch_size, max_batches, dry_run, ...only } = body;
  return {
    only,
    batchSize: batch_size as number ?? null,
    maxBatches: max_batches as number ?? Infinity,
    dryRun: dry_run === true,
  };
}

/** The id `balance_sync.dispatch()` gave this run, or a new one. */
export function readRunId(request: Request): string {
  const given = request.headers.get("x-balance-sync-run");
  if (given === null) return crypto.randomUUID();
  if (!uuid.test(given)) throw invalid("header x-balance-sync-run must be a uuid");
  return given.toLowerCase();
}

/** True for `Prefer: respond-async`, alone or among other preferences. */
export function prefersAsync(request: Request): boolean {
  return /(^|[,;])\s*respond-async\s*($|[,;])/i.test(request.headers.get("prefer") ?? "");
}

/** True when the caller asks for one line per event; a wildcard does not. */
export function acceptsNdjson(request: Request): boolean {
  return /(^|,)\s*application\/x-ndjson\s*($|[,;])/i.test(request.headers.get("accept") ?? "");
}

/** Reads no further than the limit, whatever Content-Length claims. */
async function readText(request: Request): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw invalid(`expected at most ${maxBytes} bytes, found more`);
    text += decode(chunk);
  }
  return text + decode();

  function decode(chunk?: BufferSource): string {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch {
      throw invalid("expected UTF-8");
    }
  }
}

function parse(text: string): Record<string, unknown> {
  if (text.trim() === "") return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw invalid("expected a JSON object, found text that is not JSON");
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw invalid(`expected a JSON object, found ${quote(body)}`);
  }
  return body as Record<string, unknown>;
}

function isUuids(value: unknown): boolean {
  return Array.isArray(value) && value.length <= 1000 &&
    value.every((id) => typeof id === "string" && uuid.test(id));
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function quote(value: unknown): string {
  if (Array.isArray(value) && value.length > 1000) return `an array of ${value.length}`;
  const text = JSON.stringify(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

function invalid(problem: string): Refusal {
  return new Refusal(400, "invalid_request", `Cannot read the request: ${problem}`);
}
