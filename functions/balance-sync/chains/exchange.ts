import { aborted, ChainFailure } from "./failure.ts";
import type { Node } from "./nodes.ts";

/** Beyond this a body is not read on: 1,000 rows answer in 160 KB at most, a return bomb in many MB. */
const maxBodyBytes = 4 * 1024 * 1024;

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
