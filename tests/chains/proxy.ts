/** A real HTTP server between an adapter and its node, where answers can be watched and spoilt. */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** Answers in the node's place; `Response.error()` breaks the connection off in mid-answer. */
export type Behaviour = (exchange: Exchange) => Response | Promise<Response>;

export interface Exchange {
  request: Request;
  /** The request's body, already read. */
  body: string;
  /** Asks the node itself. */
  forward(): Promise<Response>;
  /** Aborted when the proxy closes, so that a hanging answer ends with its test. */
  closed: AbortSignal;
}

export interface Proxy extends AsyncDisposable {
  url: string;
  /** Bodies of the requests seen, in order. */
  seen: string[];
  /** How it answers from now on; undefined: as the node does. */
  behave(behaviour?: Behaviour): void;
}

export async function startProxy(target: string): Promise<Proxy> {
  const seen: string[] = [];
  const closing = new AbortController();
  let behaviour: Behaviour | undefined;

  async function answer(request: Request, body: string): Promise<Response> {
    const forward = async () => {
      const { pathname, search } = new URL(request.url);
      const path = pathname === "/" ? "" : pathname;
      const response = await fetch(target.replace(/\/+$/, "") + path + search, {
        method: request.method,
        headers: { "content-type": "application/json" },
        ...request.method !== "GET" && { body },
      });
      return new Response(await response.bytes(), { status: response.status });
    };
    const exchange: Exchange = { request, body, forward, closed: closing.signal };
    return behaviour ? await behaviour(exchange) : await forward();
  }

  const server = createServer(async (incoming, outgoing) => {
    const body = await text(incoming).catch(() => undefined);
    if (body === undefined) return; // The client gave up before it had asked.
    seen.push(body);
    const headers = new Headers(
      Object.entries(incoming.headersDistinct).map(([name, values]) =>
        [name, values?.join(", ") ?? ""] as [string, string]
      ),
    );
    const url = `http://${incoming.headers.host}${incoming.url}`;
    const request = new Request(url, { method: incoming.method ?? "GET", headers });
    await write(await answer(request, body), outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    behave(next) {
      behaviour = next;
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}

async function write(response: Response, outgoing: ServerResponse) {
  if (response.type === "error") {
    outgoing.writeHead(200, { "content-length": "1000" });
    outgoing.write('{"jsonrpc":', () => outgoing.destroy());
    return;
  }
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  const parts = response.body?.getReader();
  outgoing.on("close", () => parts?.cancel());
  for (;;) {
    const { done = true, value } = await parts?.read() ?? {};
    if (done) break;
    outgoing.write(value);
  }
  outgoing.end();
}

/** Ways in which any HTTP node fails, by name. */
export const failures = {
  html: () => new Response("<html>gateway</html>", { headers: { "content-type": "text/html" } }),
  empty: () => new Response(""),
  notFound: () => new Response("no such path", { status: 404 }),
  unauthorized: () => new Response('{"error":"key"}', { status: 401 }),
  broken: () => new Response("upstream", { status: 502 }),
  rateLimited: () => new Response("slow down", { status: 429, headers: { "retry-after": "3600" } }),
  redirect: () => new Response(null, { status: 307, headers: { location: "http://127.0.0.1:1/" } }),
  huge: () => new Response(new Uint8Array(5 * 1024 * 1024).fill(0x20)),
  hang: ({ closed }) => new Response(dripping([], closed)),
  drip: ({ closed }) => new Response(dripping(["{", ...Array(1000).fill(" ")], closed)),
  cut: async ({ forward }) => {
    const answer = await (await forward()).bytes();
    return new Response(answer.subarray(0, answer.length / 2));
  },
  reset: () => Response.error(),
} satisfies Record<string, Behaviour>;

/** The parts, one every 20 ms, and no end before `closed`. */
export function dripping(parts: string[], closed: AbortSignal): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let timer: ReturnType<typeof setInterval> | undefined;
  let end: (() => void) | undefined;
  const stop = () => {
    clearInterval(timer);
    if (end) closed.removeEventListener("abort", end);
  };
  return new ReadableStream({
    start(controller) {
      end = () => {
        stop();
        controller.close();
      };
      closed.addEventListener("abort", end);
      timer = setInterval(() => {
        const part = parts.shift();
        if (part !== undefined) controller.enqueue(encoder.encode(part));
      }, 20);
    },
    cancel: stop,
  });
}
