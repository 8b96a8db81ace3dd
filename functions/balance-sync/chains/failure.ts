import type { ErrorCode, ErrorScope, ReadError } from "./adapter.ts";

/**
 * What may still be done about a failure. `retry`: the exchange broke; another endpoint, then this
 * one again. `elsewhere`: this endpoint answered nonsense; another may do better. `out`: this endpoint
 * is not to be asked again in this run. `none`: a verdict on the call itself (a revert, too little
 * gas); asking again changes nothing.
 */
export type Remedy = "retry" | "elsewhere" | "out" | "none";

/**
 * Why a chain gave no answer. It holds no cause and no request: what leaves an adapter is a code, an
 * HTTP or RPC status and an endpoint's alias, so that even `Deno.inspect` finds no URL in it.
 */
export class ChainFailure extends Error {
  override name = "ChainFailure";
  readonly remedy: Remedy;
  readonly scope: ErrorScope;
  /** Seconds the node asked to be left alone. */
  readonly retryAfter: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: { remedy?: Remedy; scope?: ErrorScope; retryAfter?: number | undefined } = {},
  ) {
    super(message);
    this.remedy = options.remedy ?? "none";
    this.scope = options.scope ?? "chain";
    this.retryAfter = options.retryAfter;
  }

  get error(): ReadError {
    return { code: this.code, message: this.message, scope: this.scope };
  }
}

export function aborted(): ChainFailure {
  const message = "the run was stopped before this balance was read";
  return new ChainFailure("aborted", message, { scope: "row" });
}

/** Not what the node's API may answer: another endpoint may do better. */
export function malformed(alias: string): ChainFailure {
  const message = `${alias} answered something other than was asked`;
  return new ChainFailure("rpc_bad_response", message, { remedy: "elsewhere" });
}
