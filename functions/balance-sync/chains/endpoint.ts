import { hide } from "../redact.ts";
import type { Chain } from "./adapter.ts";
import { aborted, ChainFailure } from "./failure.ts";

/** Beyond this a body is not read on: 1,000 rows answer in 160 KB at most, a return bomb in many MB. */
const maxBodyBytes = 4 * 1024 * 1024;

/** One node of a chain, with what this run has learnt about it. */
export interface Node {
  /** What messages call it, for its URL is a secret: "endpoint 1 of 2". */
  alias: string;
  url: URL;
  headers: Headers;
  /** Why it is not asked again in this run. */
  out?: ChainFailure;
  /** A rate limit asked for silence until then (performance.now). */
  quietUntil: number;
  /** When it last gave an answer that its family accepted. */
  answeredAt: number;
}

export interface HttpRequest {
  /** Appended to the endpoint's own path; may carry a query. */
  path?: string;
  /** Default POST. */
  method?: "GET" | "POST";
  /** JSON text. */
  body?: string;
}

/** A complete answer, whatever its status (never a redirect). */
export interface Answer {
  status: number;
  /** `Retry-After` in seconds. */
  retryAfter: number | undefined;
  text: string;
}

/** The chain's nodes in the order they are asked: `rpc_url`, then `fallback_rpc_urls`. */
export function nodesOf({ rpc_url, settings }: Chain): Node[] {
  const urls: unknown[] = [rpc_url, ...settings.fallback_rpc_urls ?? []];
  return urls.map((text, i) => {
    const named = i === 0 ? "rpc_url" : `fallback_rpc_urls[${i - 1}]`;
    const url = parseUrl(text, named);
    const headers = headersOf(settings.rpc_headers ?? {});
    if (url.username !== "" && !headers.has("authorization")) {
      headers.set("authorization", basicAuthorization(url));
    }
    url.username = url.password = "";
    return {
      alias: `endpoint ${i + 1} of ${urls.length}`,
      url,
      headers,
      quietUntil: -Infinity,
      answeredAt: -Infinity,
    };
  });
}

/**
 * One request, one answer, no retry. The deadline covers connecting, headers and the whole body; a
 * redirect is refused, because following it would hand our key to another host.
 */
export async function exchange(
  node: Node,
  request: HttpRequest,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    abort();
  }, timeoutMs);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    const response = await fetch(locate(node.url, request.path), {
      method: request.method ?? "POST",
      headers: node.headers,
      redirect: "manual",
      signal: controller.signal,
      ...request.body !== undefined && { body: request.body },
    });
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      throw new ChainFailure(
        "rpc_bad_response",
        `${node.alias} answered HTTP ${response.status}, a redirect, which is not followed`,
        { remedy: "out" },
      );
    }
    return {
      status: response.status,
      retryAfter: secondsOf(response.headers.get("retry-after")),
      text: await readBody(response, node),
    };
  } catch (error) {
    if (error instanceof ChainFailure) throw error;
    if (signal.aborted) throw aborted();
    if (timedOut) {
      const message = `${node.alias} gave no complete answer within ${Math.round(timeoutMs)} ms`;
      throw new ChainFailure("rpc_timeout", message, { remedy: "retry" });
    }
    const message = `${node.alias} could not be reached, or closed the connection early`;
    throw new ChainFailure("rpc_unreachable", message, { remedy: "retry" });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}

async function readBody(response: Response, { alias }: Node): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  if (response.body === null) return text;
  for await (const part of response.body) {
    bytes += part.length;
    if (bytes > maxBodyBytes) {
      const message = `${alias} answered more than ${maxBodyBytes} bytes`;
      throw new ChainFailure("rpc_bad_response", message);
    }
    text += decode(decoder, alias, part);
  }
  return text + decode(decoder, alias);
}

function decode(decoder: TextDecoder, alias: string, part?: BufferSource): string {
  try {
    return part ? decoder.decode(part, { stream: true }) : decoder.decode();
  } catch {
    const message = `${alias} answered bytes that are no UTF-8 text`;
    throw new ChainFailure("rpc_bad_response", message, { remedy: "elsewhere" });
  }
}

/** Undefined for a missing header, and for a date: a node's clock is not ours to compare with. */
function secondsOf(retryAfter: string | null): number | undefined {
  return retryAfter !== null && /^\d{1,9}$/.test(retryAfter.trim())
    ? Number(retryAfter)
    : undefined;
}

function locate(base: URL, path: string | undefined): URL {
  const url = new URL(base);
  if (path === undefined) return url;
  const [pathname = "", query] = path.split("?");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${pathname.replace(/^\/+/, "")}`;
  for (const [key, value] of new URLSearchParams(query)) url.searchParams.append(key, value);
  return url;
}

function parseUrl(text: unknown, named: string): URL {
  const url = typeof text === "string" ? URL.parse(text.trim()) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new ChainFailure("invalid_chain_settings", `${named} must be an http or https URL`);
  }
  hide(url.username, url.password, url.search.slice(1), ...url.searchParams.values());
  hide(...url.pathname.split("/").filter((segment) => !/^[a-z]*$/.test(segment)));
  return url;
}

/** Every header goes to every endpoint of the chain, so only hosts trusted with them belong there. */
function headersOf(settings: Record<string, string | null>): Headers {
  const headers = new Headers({ "content-type": "application/json", accept: "application/json" });
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value !== "string") {
      const message = `rpc_headers: the secret of header "${name}" does not exist in Vault`;
      throw new ChainFailure("invalid_chain_settings", message);
    }
    hide(value, value.replace(/^\S+\s+/, ""));
    try {
      headers.set(name, value);
    } catch {
      const message = `rpc_headers: header "${name}" has a name or value that HTTP does not allow`;
      throw new ChainFailure("invalid_chain_settings", message);
    }
  }
  return headers;
}

function basicAuthorization({ username, password }: URL): string {
  let pair = `${username}:${password}`;
  try {
    pair = decodeURIComponent(pair);
  } catch {
    // A lone % is taken as it stands.
  }
  const encoded = btoa(String.fromCharCode(...new TextEncoder().encode(pair)));
  hide(encoded);
  return `Basic ${encoded}`;
}
