import type { Chain } from "./adapter.ts";
import { type Answer, exchange, type HttpRequest } from "./exchange.ts";
import { aborted, ChainFailure } from "./failure.ts";
import { type Node, nodesOf } from "./nodes.ts";

export type { Answer, HttpRequest } from "./exchange.ts";
export { aborted, ChainFailure, malformed } from "./failure.ts";

/** Rounds over the endpoints: the first, and two more for what only broke on the way. */
const rounds = 3;

/** What an attempt may talk to: one node, for the length of one attempt. */
export interface Endpoint {
  /** What messages call it: "endpoint 1 of 2". */
  readonly alias: string;
  /** One request, no retry; resolves with any complete answer, whatever its status. */
  send(request: HttpRequest): Promise<Answer>;
}

/** The one way to a chain's nodes, for every family. */
export interface Transport {
  /** HTTP requests sent so far. */
  readonly rpcCalls: number;
  /**
   * Runs `attempt` against the chain's endpoints, one after the other, until one attempt resolves.
   * The attempt says what a bad answer is by throwing a {@link ChainFailure}; its remedy decides what
   * comes next. Whatever else it throws, and remedy `none`, is handed to the caller as it is.
   * All attempts of one run end within three request timeouts.
   */
  run<T>(attempt: (endpoint: Endpoint) => Promise<T>, signal: AbortSignal): Promise<T>;
}

/** Throws a ChainFailure when the chain's URLs or headers cannot be used. */
export function openTransport(chain: Chain): Transport {
  const { request_timeout_ms, max_parallel_requests } = chain.settings;
  const timeoutMs = setting("request_timeout_ms", request_timeout_ms, 8_000, 15_000);
  const inTurn = slots(setting("max_parallel_requests", max_parallel_requests, 4, 32));
  const nodes = nodesOf(chain);
  let rpcCalls = 0;

  async function tryAll<T>(attempt: (endpoint: Endpoint) => Promise<T>, signal: AbortSignal) {
    const startedAt = performance.now();
    const endsAt = startedAt + 3 * timeoutMs;
    const failures = new Map<Node, ChainFailure>();
    for (let round = 1;; round++) {
      for (const node of nodes) {
        if (signal.aborted) throw aborted();
        if (node.out || node.quietUntil > performance.now()) continue;
        if (failures.get(node)?.remedy === "elsewhere") continue;
        const send = (request: HttpRequest) => {
          rpcCalls++;
          const left = Math.max(1, endsAt - performance.now());
          return exchange(node, request, Math.min(timeoutMs, left), signal);
        };
        try {
          const answer = await attempt({ alias: node.alias, send });
          node.answeredAt = performance.now();
          return answer;
        } catch (failure) {
          if (!(failure instanceof ChainFailure) || failure.remedy === "none") throw failure;
          failures.set(node, failure);
          if (failure.remedy === "out") node.out = failure;
          if (failure.retryAfter !== undefined) {
            node.quietUntil = performance.now() + failure.retryAfter * 1000;
            if (node.quietUntil >= endsAt) node.out = failure;
          }
        }
      }
      const waiting = nodes.filter((node) =>
        !node.out && (failures.get(node)?.remedy ?? "retry") === "retry"
      );
      const quietUntil = Math.min(...waiting.map((node) => node.quietUntil));
      const resumeAt = Math.max(performance.now() + backoffMs(round), quietUntil);
      if (waiting.length === 0) break;
      // A request that gets less than half its time would only hide the failure behind a timeout.
      if (round >= rounds || resumeAt + timeoutMs / 2 >= endsAt) {
        for (const node of waiting) {
          const failure = failures.get(node);
          if (failure && node.answeredAt < startedAt) node.out = failure;
        }
        break;
      }
      await pause(resumeAt - performance.now(), signal);
    }
    throw verdict(nodes, failures);
  }

  return {
    get rpcCalls() {
      return rpcCalls;
    },
    run: (attempt, signal) => inTurn(() => tryAll(attempt, signal)),
  };
}

/**
 * The JSON of an answer, or the ChainFailure that its status or body amounts to. A family that knows
 * more about its nodes' failures (a rate limit inside HTTP 200 or 403) looks at the answer first.
 */
export function jsonOf({ status, retryAfter, text }: Answer, alias: string): unknown {
  if (status === 429) {
    // Most windows are one second long; a node that wants more says so.
    const message = `${alias} answered HTTP 429: too many requests`;
    throw new ChainFailure("rpc_rate_limited", message, {
      remedy: "retry",
      retryAfter: retryAfter ?? 1,
    });
  }
  if (status === 401 || status === 403) {
    const message = `${alias} answered HTTP ${status}: it refuses our key or address`;
    throw new ChainFailure("rpc_unauthorized", message, { remedy: "out" });
  }
  if (status === 413) {
    throw new ChainFailure("rpc_bad_response", `${alias} answered HTTP 413: request too large`);
  }
  if (status >= 500) {
    const message = `${alias} answered HTTP ${status}`;
    throw new ChainFailure("rpc_unreachable", message, { remedy: "retry", retryAfter });
  }
  if (status < 200 || status >= 300) {
    const message = `${alias} answered HTTP ${status}`;
    throw new ChainFailure("rpc_bad_response", message, { remedy: "elsewhere" });
  }
  try {
    return parseJson(text);
  } catch {
    const message = `${alias} answered ${text.length} characters that are no JSON`;
    throw new ChainFailure("rpc_bad_response", message, { remedy: "elsewhere" });
  }
}

/**
 * JSON with exact integers: one beyond 2^53 becomes a bigint, as java-tron writes int64 as a bare
 * number. An integer spelled as a fraction or with an exponent has lost its exactness and is NaN.
 */
export function parseJson(text: string): unknown {
  return JSON.parse(text, exactInteger as (key: string, value: unknown) => unknown);
}

function exactInteger(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || context?.source === undefined) return value;
  if (!/^-?\d+$/.test(context.source)) return Number.isInteger(value) ? NaN : value;
  return Number.isSafeInteger(value) ? value : BigInt(context.source);
}

/** A positive integer of the chain's settings; above `most` it is cut, to keep the timing chain. */
export function setting(name: string, value: unknown, fallback: number, most: number): number {
  if (value === undefined || value === null) return fallback;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
    throw new ChainFailure("invalid_chain_settings", `${name} must be a positive integer`);
  }
  return Math.min(value, most);
}

/** The first endpoint's failure, with what happened at the others in its message. */
function verdict(nodes: Node[], failures: Map<Node, ChainFailure>): ChainFailure {
  const all = nodes.map((node) => failures.get(node) ?? node.out).filter((failure) => !!failure);
  const first = all[0] ??
    new ChainFailure("rpc_rate_limited", "every endpoint asked to be left alone");
  const message = all.length > 1 ? all.map(({ message }) => message).join("; ") : first.message;
  return new ChainFailure(first.code, message, first);
}

/** 100-200 ms, then 200-400 ms: jittered, so that many isolates do not come back as one. */
function backoffMs(round: number): number {
  return 100 * 2 ** (round - 1) * (1 + Math.random());
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    // A timer may fire a fraction early, and find the node still quiet.
    const timer = setTimeout(end, Math.ceil(ms) + 1);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

/** Lets `count` pieces of work go on at a time; the rest wait their turn. */
function slots(count: number) {
  const waiting: (() => void)[] = [];
  let free = count;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
