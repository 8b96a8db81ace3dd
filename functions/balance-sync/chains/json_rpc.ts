/** JSON-RPC to one endpoint: ethers' provider on our own transport, with errors told apart. */
import { JsonRpcApiProvider, type JsonRpcPayload, type JsonRpcResult, Network } from "ethers";
import { ChainFailure, type Endpoint, jsonOf, malformed, parseJson } from "./http.ts";

/** The chain id is proven by every read itself, so ethers is told one and never asks. */
const network = new Network("any EVM chain", 0n);

/** Never used twice in an isolate, so that an answer to another question is not taken for ours. */
let lastId = 0;

/**
 * `send` through it. ethers queues, batches what is sent in one turn, and matches answers by id; its
 * own HTTP client (which follows redirects with our headers) and its caches are left out.
 */
export class EndpointProvider extends JsonRpcApiProvider {
  constructor(readonly endpoint: Endpoint) {
    super(network, { staticNetwork: network, batchStallTime: 0, cacheTimeout: -1 });
    this._start();
  }

  override async _send(payload: JsonRpcPayload | JsonRpcPayload[]) {
    for (const call of [payload].flat()) call.id = ++lastId;
    const answer = await this.endpoint.send({ body: JSON.stringify(payload) });
    const { alias } = this.endpoint;
    const parsed = rpcErrorOf(answer.status, answer.text) ?? jsonOf(answer, alias);
    const results = [parsed].flat() as Record<string, unknown>[];
    if (results.some((result) => typeof result !== "object" || result === null)) {
      throw malformed(alias);
    }
    const [only] = results;
    const anonymous = results.length === 1 && (only!.id ?? null) === null;
    if (anonymous && "error" in only!) throw rpcFailure(only.error, alias);
    if (results.length !== [payload].flat().length) throw malformed(alias);
    return results as unknown as JsonRpcResult[];
  }

  override getRpcError(_payload: JsonRpcPayload, { error }: { error: unknown }): Error {
    return rpcFailure(error, this.endpoint.alias);
  }
}

/** A call's verdict with what the contract said, where a node passes it on (hex without 0x). */
export class CallReverted extends ChainFailure {
  constructor(message: string, readonly data: string) {
    super("call_reverted", message, { scope: "row" });
  }
}

/** Some nodes send their JSON-RPC error with a status of 400 or 500. */
function rpcErrorOf(status: number, text: string): unknown {
  if (status !== 400 && status !== 500) return undefined;
  try {
    const parsed = parseJson(text) as { error?: { code?: unknown } } | null;
    return typeof parsed?.error?.code === "number" ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/**
 * What a JSON-RPC error means. Codes are few and used loosely (-32000 is a revert, a missing block or
 * no gas), so words decide where they are unmistakable. The words themselves are not passed on: they
 * may quote a URL or a key.
 */
export function rpcFailure(error: unknown, alias: string): ChainFailure {
  const { code, message, data } = (error ?? {}) as Record<string, unknown>;
  if (typeof code !== "number" || !Number.isSafeInteger(code)) return malformed(alias);
  const words = typeof message === "string" ? message.toLowerCase() : "";
  const said = `${alias} answered RPC error ${code}`;
  const tooLarge = /too (large|big)|response size|batch size|more than|max(imum)? .*size/.test(
    words,
  );
  if (tooLarge) return new ChainFailure("rpc_bad_response", `${said}: too large`);
  if (
    code === 429 || code === -32005 ||
    /rate.?limit|too many requests|limit (exceeded|reached)|capacity|quota|compute units|throttl/
      .test(words)
  ) {
    const message = `${said}: too many requests`;
    return new ChainFailure("rpc_rate_limited", message, { remedy: "retry", retryAfter: 1 });
  }
  if (code === 401 || code === 403 || /unauthori[sz]ed|forbidden|api.?key|project id/.test(words)) {
    const message = `${said}: it refuses our key or address`;
    return new ChainFailure("rpc_unauthorized", message, { remedy: "out" });
  }
  if (
    code === -32001 || code === -32002 ||
    /(header|block|state|resource).*(not (found|available)|unavailable|missing)/.test(words) ||
    /(missing|unknown) (trie node|header|block|state)|pruned|blockoutofrange/.test(words)
  ) {
    const message = `${said}: it has not got the block it was asked about`;
    return new ChainFailure("rpc_bad_response", message, { remedy: "retry" });
  }
  if (code === 3 || /revert|opcode|invalid jump|stack (under|over)flow/.test(words)) {
    const hex = typeof data === "string" ? /^0x((?:[0-9a-f]{2})*)$/i.exec(data)?.[1] : undefined;
    return new CallReverted(`${said}: reverted`, hex?.toLowerCase() ?? "");
  }
  if (/\bgas\b|outofgas/.test(words)) return new ChainFailure("out_of_gas", `${said}: out of gas`);
  if (/time.?out|timed out|aborted/.test(words)) {
    return new ChainFailure("rpc_timeout", `${said}: the node gave the call up`);
  }
  return new ChainFailure("rpc_bad_response", said);
}
