/** java-tron's `/jsonrpc`: HTTP 200 whatever happens, and only the head's state. */
import { AbiCoder } from "ethers";
import { block, call, isCalledOff } from "./tron_state.ts";
import type { TronNode } from "./tron_node.ts";

const MAX_BATCH_SIZE = 100;
const ERROR_SELECTOR = "08c379a0";

interface RpcRequest {
  id?: unknown;
  method?: string;
  params?: unknown[];
}

class RpcError extends Error {
  constructor(readonly code: number, message: string, readonly data = "{}") {
    super(message);
  }
}

export async function answerJsonRpc(node: TronNode, body: string): Promise<string> {
  let asked: RpcRequest | RpcRequest[];
  try {
    asked = JSON.parse(body);
  } catch {
    return JSON.stringify(failed(null, new RpcError(-32700, "JSON parse error")));
  }
  if (!Array.isArray(asked)) return JSON.stringify(await answerOne(node, asked));
  if (asked.length > MAX_BATCH_SIZE) {
    const message = `Batch size ${asked.length} exceeds the limit of ${MAX_BATCH_SIZE}`;
    return JSON.stringify(failed(null, new RpcError(-32005, message)));
  }
  return JSON.stringify(await Promise.all(asked.map((one) => answerOne(node, one))));
}

async function answerOne(node: TronNode, { id, method, params = [] }: RpcRequest) {
  try {
    return { jsonrpc: "2.0", id, result: await result(node, method, params) };
  } catch (error) {
    if (error instanceof RpcError) return failed(id, error);
    throw error;
  }
}

function failed(id: unknown, { code, message, data }: RpcError) {
  return { jsonrpc: "2.0", id, error: { code, message, data } };
}

async function result(node: TronNode, method: string | undefined, params: unknown[]) {
  switch (method) {
    case "eth_chainId":
    case "net_version":
      return `0x${node.evm.chainId.toString(16)}`;
    case "eth_blockNumber":
      return await node.evm.rpc("eth_blockNumber");
    case "eth_getBalance": {
      onlyLatest(params[1]);
      return await node.evm.rpc("eth_getBalance", [evmAddress(params[0]), "latest"]);
    }
    case "eth_call":
      return await ethCall(node, params);
    default:
      throw new RpcError(-32601, "method not found");
  }
}

async function ethCall(node: TronNode, [transaction, tag]: unknown[]): Promise<string> {
  const { from, to, data, input } = (transaction ?? {}) as Record<string, unknown>;
  // {blockNumber} only has to exist: the call runs on the head all the same
  if (typeof tag !== "object" || tag === null) onlyLatest(tag);
  const contract = evmAddress(to);
  if (await node.evm.rpc("eth_getCode", [contract, "latest"]) === "0x") {
    throw new RpcError(-32600, "Smart contract is not exist.");
  }
  const answer = await call(node, await block(node, "head"), {
    from: from === undefined ? undefined : evmAddress(from),
    to: contract,
    data: String(data ?? input ?? "0x").slice(2),
  });
  if (isCalledOff(answer)) throw new RpcError(-32000, answer.exception.split(" : ")[1]!);
  if (answer.reverted) {
    throw new RpcError(-32000, `REVERT opcode executed${reason(answer.data)}`, `0x${answer.data}`);
  }
  return `0x${answer.data}`;
}

function reason(data: string): string {
  if (!data.startsWith(ERROR_SELECTOR)) return "";
  return `: ${AbiCoder.defaultAbiCoder().decode(["string"], `0x${data.slice(8)}`)[0]}`;
}

function onlyLatest(tag: unknown): void {
  if (tag === "latest") return;
  if (["earliest", "pending", "finalized", "safe"].includes(String(tag))) {
    throw new RpcError(-32602, "TAG [earliest | pending | finalized] not supported");
  }
  if (/^0x[0-9a-fA-F]+$/.test(String(tag))) {
    throw new RpcError(-32602, "QUANTITY not supported, just support TAG as latest");
  }
  throw new RpcError(-32602, "invalid block number");
}

/** 20 bytes, or 21 that begin with 41; never base58. */
function evmAddress(value: unknown): string {
  const digits = String(value).replace(/^0x/i, "");
  if (!/^(41)?[0-9a-fA-F]{40}$/.test(digits)) {
    throw new RpcError(-32602, "invalid address hash value");
  }
  return `0x${digits.slice(-40).toLowerCase()}`;
}
