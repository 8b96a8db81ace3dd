/** A real HTTP server between an adapter and its node, where answers can be watched and spoilt. */

/** Answers in the node's place; `forward` asks the node itself. */
export type Behaviour = (exchange: Exchange) => Response | Promise<Response>;

export interface Exchange {
  request: Request;
  /** The request's body, already read. */
  body: string;
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

export function startProxy(target: string): Proxy {
  const seen: string[] = [];
  const closing = new AbortController();
  let behaviour: Behaviour | undefined;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.text();
    seen.push(body);
    const forward = async () => {
      const { pathname, search } = new URL(request.url);
      const base = target.replace(/\/+$/, "");
      const response = await fetch(base + (pathname === "/" ? "" : pathname) + search, {
        method: request.method,
        headers: { "content-type": "application/json" },
        ...request.method !== "GET" && { body },
      });
      const answer = await response.bytes();
      return new Response(answer, { status: response.status });
    };
    const exchange: Exchange = { request, body, forward, closed: closing.signal };
    return behaviour ? await behaviour(exchange) : await forward();
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    seen,
    behave(next) {
      behaviour = next;
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await server.shutdown();
    },
  };
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
  reset: () => new Response(new ReadableStream({ pull: (c) => c.error(new Error("reset")) })),
} satisfies Record<string, Behaviour>;

/** The parts, one every 20 ms, and no end before `closed`. */
function dripping(parts: string[], closed: AbortSignal): ReadableStream<Uint8Array> {
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
