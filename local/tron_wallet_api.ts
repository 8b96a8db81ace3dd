/** java-tron's `/wallet` and `/walletsolidity`, as far as TronWeb reads balances. */
import { id } from "ethers";
import { TronWeb } from "tronweb";
import { block, call, type EvmBlock, isCalledOff } from "./tron_state.ts";
import { toHex } from "./tron_failures.ts";
import type { TronNode } from "./tron_node.ts";

interface WalletRequest {
  side: "wallet" | "walletsolidity";
  name: string | undefined;
  method: string;
  query: URLSearchParams;
  body: string;
}

type Json = Record<string, unknown>;

/** The body of the answer, or undefined where java-tron has no such API. */
export async function answerWallet(
  node: TronNode,
  request: WalletRequest,
): Promise<string | undefined> {
  const { name, method, query } = request;
  const state = await block(node, request.side === "wallet" ? "head" : "solid");
  switch (name) {
    case "getaccount":
      return await orError(async () =>
        write(
          await account(node, state, parameters(request)),
          method === "GET" && query.get("int64_as_string") === "true",
        )
      );
    case "getnowblock":
      return write(describe(node, state));
    case "getblockbynum":
      return await orError(async () => {
        const number = Number(parameters(request).num ?? 0);
        return write(
          number > Number(state.number) ? {} : describe(node, await block(node, number)),
        );
      });
    case "triggerconstantcontract":
      return method === "POST" ? write(await trigger(node, state, request.body)) : "";
  }
}

function parameters({ method, query, body }: WalletRequest): Json {
  return method === "GET" ? Object.fromEntries(query) : parse(body || "{}");
}

function parse(body: string): Json {
  const value = JSON.parse(body);
  if (typeof value !== "object" || value === null) throw new SyntaxError("not a JSON object");
  return value;
}

async function orError(answer: () => Promise<string>): Promise<string> {
  try {
    return await answer();
  } catch (error) {
    return write({ Error: javaMessage(error) });
  }
}

/** As java-tron prints an exception; one that is not the node's but ours goes on. */
function javaMessage(error: unknown): string {
  if (error instanceof JavaError) return `class ${error.message}`;
  if (error instanceof SyntaxError) return `class org.tron.json.JSONException : ${error.message}`;
  throw error;
}

/** An exception of the node's, class and message. */
class JavaError extends Error {}

/** 0x address of base58 (with `visible`) or hex; undefined where none is given. */
function address(value: unknown, visible: boolean): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const text = String(value);
  if (visible) {
    if (!TronWeb.isAddress(text)) throw new JavaError("java.lang.NullPointerException : null");
    return `0x${TronWeb.address.toHex(text).slice(2)}`;
  }
  const digits = text.replace(/^0x/i, "");
  if (!/^[0-9a-fA-F]*$/.test(digits)) {
    throw new JavaError(
      "org.tron.core.services.http.JsonFormat$ParseException : 1:12: INVALID hex String",
    );
  }
  return /^41[0-9a-fA-F]{40}$/.test(digits) ? `0x${digits.slice(2).toLowerCase()}` : undefined;
}

function print(evmAddress: string, visible: boolean): string {
  const hex = `41${evmAddress.slice(2)}`;
  return visible ? TronWeb.address.fromHex(hex) : hex;
}

async function account(node: TronNode, state: EvmBlock, asked: Json): Promise<Json> {
  const visible = String(asked.visible) === "true";
  const owner = address(asked.address, visible);
  if (owner === undefined) return {};
  const [balance, code, nonce] = await Promise.all([
    node.evm.rpc<string>("eth_getBalance", [owner, state.tag]),
    node.evm.rpc<string>("eth_getCode", [owner, state.tag]),
    node.evm.rpc<string>("eth_getTransactionCount", [owner, state.tag]),
  ]);
  const isContract = code !== "0x";
  const sun = BigInt(balance);
  if (sun === 0n && !isContract && BigInt(nonce) === 0n && !node.registered.has(owner)) return {};
  const permission = {
    permission_name: "owner",
    threshold: 1n,
    keys: [{ address: print(owner, visible), weight: 1n }],
  };
  return {
    ...isContract && { type: "Contract" },
    address: print(owner, visible),
    // proto3 leaves out what is zero
    ...sun > 0n && { balance: sun },
    create_time: 1776933207000n,
    latest_opration_time: 1776933210000n,
    owner_permission: permission,
    active_permission: [{
      type: "Active",
      id: 2,
      ...permission,
      permission_name: "active",
      operations: "7fff1fc0033ec30f000000000000000000000000000000000000000000000000",
    }],
    frozenV2: [{}, { type: "ENERGY" }, { type: "TRON_POWER" }],
    asset_optimized: true,
  };
}

function describe(node: TronNode, { number, hash, parentHash, timestamp }: EvmBlock): Json {
  return {
    blockID: blockId(node, number, hash),
    block_header: {
      raw_data: {
        // proto3 leaves out what is zero
        ...number > 0n && { number },
        txTrieRoot: "0".repeat(64),
        witness_address: "415863f6091b8e71766da808b1dd3159790f61de7d",
        parentHash: number > 0n ? blockId(node, number - 1n, parentHash) : "0".repeat(64),
        version: 34,
        timestamp: timestamp * 1000n,
      },
      witness_signature: "00".repeat(65),
    },
  };
}

/** The number leads the id of a block; the chain id is the last 4 bytes of the genesis block's. */
function blockId(node: TronNode, number: bigint, hash: string): string {
  const id = number.toString(16).padStart(16, "0") + hash.slice(18);
  return number > 0n ? id : id.slice(0, 56) + node.evm.chainId.toString(16).padStart(8, "0");
}

async function trigger(node: TronNode, state: EvmBlock, body: string): Promise<Json> {
  let visible = false;
  try {
    const asked = parse(body);
    visible = String(asked.visible) === "true";
    if (!asked.owner_address) throw invalidParameter("owner_address isn't set.");
    if (!asked.contract_address && !asked.data) {
      throw invalidParameter("At least one of contract_address and data must be set.");
    }
    const from = address(asked.owner_address, visible);
    const to = address(asked.contract_address, visible);
    if (asked.contract_address && !(to && await hasCode(node, to, state))) {
      return refusal("CONTRACT_VALIDATE_ERROR", "Smart contract is not exist.", visible);
    }
    const data = asked.function_selector
      ? id(String(asked.function_selector)).slice(2, 10) + String(asked.parameter ?? "")
      : String(asked.data ?? "");
    const result = await call(node, state, { from, to, data });
    if (isCalledOff(result)) throw new JavaError(result.exception);
    const message = text("REVERT opcode executed", visible);
    return {
      result: { result: true, ...result.reverted && { message } },
      energy_used: 935,
      constant_result: [result.data],
      transaction: await transaction(state, asked, data, visible, result.reverted),
    };
  } catch (error) {
    return refusal("OTHER_ERROR", javaMessage(error), visible);
  }
}

async function transaction(
  state: EvmBlock,
  asked: Json,
  data: string,
  visible: boolean,
  reverted: boolean,
): Promise<Json> {
  const deploys = !asked.contract_address;
  const type = deploys ? "CreateSmartContract" : "TriggerSmartContract";
  const value = {
    owner_address: asked.owner_address,
    ...deploys ? { new_contract: { bytecode: data } } : {
      data,
      contract_address: asked.contract_address,
    },
  };
  const ref = state.number.toString(16).padStart(4, "0").slice(-4);
  // not the protobuf of raw_data, only as long: it repeats the calldata
  const raw = `0a02${ref}${data}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(raw));
  return {
    ret: [reverted ? { ret: "FAILED" } : {}],
    visible,
    txID: new Uint8Array(digest).toHex(),
    raw_data: {
      contract: [{
        parameter: { value, type_url: `type.googleapis.com/protocol.${type}` },
        type,
      }],
      ref_block_bytes: ref,
      ref_block_hash: state.hash.slice(18, 34),
      expiration: state.timestamp * 1000n + 60_000n,
      timestamp: state.timestamp * 1000n,
    },
    raw_data_hex: raw,
  };
}

async function hasCode(node: TronNode, contract: string, { tag }: EvmBlock): Promise<boolean> {
  return await node.evm.rpc("eth_getCode", [contract, tag]) !== "0x";
}

function invalidParameter(message: string): JavaError {
  return new JavaError(`java.security.InvalidParameterException : ${message}`);
}

function refusal(code: string, message: string, visible: boolean): Json {
  return { result: { code, message: text(message, visible) } };
}

/** Bytes that are text: hex, unless `visible`. */
function text(message: string, visible: boolean): string {
  return visible ? message : toHex(message);
}

/** java-tron writes an int64 as a bare number however large it is, unless asked for strings. */
function write(value: Json, int64AsString = false): string {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  return JSON.stringify(value, (_key, item) => {
    if (typeof item !== "bigint") return item;
    return int64AsString ? String(item) : rawJSON(String(item));
  });
}
