/** What one endpoint of java-tron says, asked through TronWeb and believed only in its exact shape. */
import { providers, TronWeb } from "tronweb";
import { type Answer, ChainFailure, type Endpoint, jsonOf, malformed } from "./http.ts";

/**
 * `wallet` is the head as the node has it: with transfers it accepted and no block holds yet, nearly
 * always in the next one. `walletsolidity` is the last block that cannot be undone, a minute older.
 */
export type Side = "wallet" | "walletsolidity";

/** What became of a constant call; data is hex without 0x. */
export type CallResult =
  | { data: string }
  | { failed: "reverted"; data: string }
  | { failed: "no code" }
  /** CPU time, energy or memory ran out, and with it every call the request held. */
  | { failed: "exhausted" }
  /** The node would not run it: another way of asking may suit it. */
  | { failed: "refused" };

type Json = Record<string, unknown>;

/** Owner of constant calls: java-tron insists on one, any will do. */
const nobody = "410000000000000000000000000000000000000000";

export class TronEndpoint {
  readonly alias: string;
  readonly #tronWeb: TronWeb;
  readonly #side: Side;

  constructor(endpoint: Endpoint, side: Side) {
    const provider = new EndpointProvider(endpoint);
    this.alias = endpoint.alias;
    this.#tronWeb = new TronWeb({ fullHost: provider, disablePlugins: true });
    this.#side = side;
  }

  /** Runs `data` at the contract, or as constructor code where there is none. */
  async call(contract: string | undefined, data: string): Promise<CallResult> {
    const answer = await this.#tronWeb.fullNode.request<Json>(
      `${this.#side}/triggerconstantcontract`,
      {
        owner_address: nobody,
        ...contract !== undefined && { contract_address: `41${contract}` },
        data,
      },
      "post",
    );
    return this.#resultOf(answer);
  }

  #resultOf({ result, constant_result, transaction }: Json): CallResult {
    if (!isObject(result)) throw malformed(this.alias);
    const message = textOf(result.message);
    if (result.code !== undefined) return this.#failureOf(String(result.code), message);
    const data = Array.isArray(constant_result) && constant_result.length === 1
      ? constant_result[0]
      : undefined;
    const ret = isObject(transaction) && Array.isArray(transaction.ret) ? transaction.ret[0] : null;
    if (
      result.result !== true || !isObject(ret) ||
      typeof data !== "string" || !/^(?:[0-9a-f]{2})*$/.test(data)
    ) throw malformed(this.alias);
    if (message === "" && ret.ret !== "FAILED") return { data };
    if (message === "REVERT opcode executed") return { failed: "reverted", data };
    throw malformed(this.alias);
  }

  #failureOf(code: string, message: string): CallResult {
    if (message === "Smart contract is not exist.") return { failed: "no code" };
    if (message === "this node does not support constant") {
      const message = `${this.alias} does not run constant calls`;
      throw new ChainFailure("rpc_bad_response", message, { remedy: "out" });
    }
    if (/Program\$(OutOf\w+|JVMStackOverFlow)Exception/.test(message)) {
      return { failed: "exhausted" };
    }
    // An invalid opcode, a bad jump: the contract's doing, though without REVERT.
    if (code === "OTHER_ERROR" && /Program\$\w+Exception/.test(message)) {
      return { failed: "reverted", data: "" };
    }
    return { failed: "refused" };
  }

  /**
   * Liquid sun of an account, as trx.getBalance should have read it: that one answers 0 to an error
   * page. Only `{}` says that there is no account, and only an account without `balance` has none.
   */
  async balanceOf(owner: string): Promise<bigint> {
    const { trx } = this.#tronWeb;
    const account =
      await (this.#side === "wallet"
        ? trx.getUnconfirmedAccount(`41${owner}`)
        : trx.getAccount(`41${owner}`)) as unknown as Json;
    if (Object.keys(account).length === 0) return 0n;
    if (account.address !== `41${owner}`) throw malformed(this.alias);
    return this.#integer(account, "balance");
  }

  /** The number of the newest block, and its time in seconds. */
  async head(): Promise<{ block: bigint; timestamp: bigint }> {
    const { trx } = this.#tronWeb;
    const { blockID, block_header } =
      await (this.#side === "wallet"
        ? trx.getCurrentBlock()
        : trx.getConfirmedCurrentBlock()) as unknown as Json;
    const raw = isObject(block_header) ? block_header.raw_data : undefined;
    if (!isObject(raw)) throw malformed(this.alias);
    const block = this.#integer(raw, "number");
    if (BigInt(`0x${blockId(blockID, this.alias).slice(0, 16)}`) !== block) {
      throw malformed(this.alias);
    }
    return { block, timestamp: this.#integer(raw, "timestamp") / 1000n };
  }

  /** As CHAINID answers it on TRON: the last 4 bytes of the genesis block's id. */
  async chainId(): Promise<bigint> {
    const { blockID } = await this.#tronWeb.fullNode.request<Json>(
      "wallet/getblockbynum",
      { num: 0 },
      "post",
    );
    const id = blockId(blockID, this.alias);
    if (!id.startsWith("0".repeat(16))) throw malformed(this.alias);
    return BigInt(`0x${id.slice(-8)}`);
  }

  /** int64 of proto3's JSON: a bare number, which parseJson keeps exact, and absent when it is zero. */
  #integer(object: Json, field: string): bigint {
    const value = field in object ? object[field] : 0;
    if (
      typeof value === "bigint" ? value < 0n : !Number.isSafeInteger(value) || value as number < 0
    ) {
      throw malformed(this.alias);
    }
    return BigInt(value as bigint | number);
  }
}

/** TronWeb's way out: onto the chain's one transport, which has a deadline and keeps our key. */
class EndpointProvider extends providers.HttpProvider {
  readonly #endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    // TronWeb wants a URL; none of its requests goes there.
    super("http://endpoint.invalid");
    this.#endpoint = endpoint;
  }

  override async request<T>(path: string, payload: object = {}, method = "get"): Promise<T> {
    const answer = await this.#endpoint.send(
      method.toLowerCase() === "get"
        ? { path, method: "GET" }
        : { path, method: "POST", body: JSON.stringify(payload) },
    );
    return objectOf(answer, this.#endpoint.alias) as T;
  }
}

/**
 * TronGrid and java-tron refuse in many ways, HTTP 200 among them. Too many requests cost a
 * suspension that every further one prolongs, so that endpoint is left alone for the run.
 */
function objectOf(answer: Answer, alias: string): Json {
  const error = errorOf(answer.text);
  if (answer.status === 429 || error !== undefined && isRateLimit(answer.status, error)) {
    throw new ChainFailure(
      "rpc_rate_limited",
      `${alias} answered HTTP ${answer.status}: too many requests`,
      { remedy: "out" },
    );
  }
  const object = jsonOf(answer, alias);
  if (error !== undefined) {
    const message = `${alias} answered HTTP ${answer.status} with an Error in place of a result`;
    throw new ChainFailure("rpc_bad_response", message, { remedy: "elsewhere" });
  }
  if (!isObject(object)) throw malformed(alias);
  return object;
}

function isRateLimit(status: number, error: string): boolean {
  return status === 403 || status === 503 ||
    status === 200 &&
      /exceed|suspend|frequency|rate|limit|too many|lack of computing resources/i.test(error);
}

/** Text of the `Error` that an object carries, whatever its type. */
function errorOf(text: string): string | undefined {
  if (!text.includes('"Error"')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && "Error" in value ? String(value.Error) : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A message comes as hex; anything else is no message we know. */
function textOf(message: unknown): string {
  if (message === undefined) return "";
  if (typeof message !== "string" || !/^(?:[0-9a-f]{2})+$/.test(message)) return "unreadable";
  const bytes = Uint8Array.from(message.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  return new TextDecoder().decode(bytes);
}

function blockId(value: unknown, alias: string): string {
  if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value)) throw malformed(alias);
  return value;
}
