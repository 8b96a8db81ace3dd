/**
 * A TRON node as TronWeb sees one: java-tron's HTTP API over the state of an EVM node, so that TRC-20
 * calls really execute. Sun are the EVM node's wei. What differs from java-tron: energy figures, no
 * 80 ms of CPU (say `cpuLimit`), and a balance may exceed an int64.
 */
import { TronWeb } from "tronweb";
import type { EvmNode } from "./evm_node.ts";
import { answerWith, type Failure } from "./tron_failures.ts";
import { answerJsonRpc } from "./tron_json_rpc.ts";
import { answerWallet } from "./tron_wallet_api.ts";

/** Where TRON's main net has Multicall3: TEazPvZwDjDtFeJupyo7QunvnrnUjPH8ED. */
export const TRON_MULTICALL3 = "0x32a4f47a74a6810bd0bf861cabab99656a75de9e";
const EVM_MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11";
const MAX_BODY_BYTES = 4 * 1024 * 1024;

export interface TronNode extends AsyncDisposable {
  url: string;
  evm: EvmNode;
  /** Every request so far. */
  requests: { path: string; body: string }[];
  /** How many contracts one request may call before its CPU time is up. */
  cpuLimit: number;
  /** How far `/walletsolidity` is behind the head, in blocks; 18 or so on the main net. */
  solidLag: number;
  /** Whether a transfer ever reached the address: without, and without balance, it has no account. */
  registered: Set<string>;
  /** Every request whose path contains `on` meets this failure, until `fail()` is called. */
  fail(failure?: Failure, on?: string): void;
  /** Base58 of a 0x address. */
  toTronAddress(address: string): string;
}

/**
 * Starts the façade on a free port. `multicall3` is where Multicall3 lies, as 0x address; false puts
 * it nowhere, as on Shasta and Nile.
 */
export async function startTronNode(
  options: { evm: EvmNode; port?: number; multicall3?: string | false; solidLag?: number },
): Promise<TronNode> {
  const { evm, port = 0, multicall3 = TRON_MULTICALL3, solidLag = 0 } = options;
  if (multicall3 !== false) await copyMulticall3(evm, multicall3);

  let failure: Failure | undefined;
  let failing = "";
  const stopping = new AbortController();
  const server = Deno.serve(
    { port, hostname: "127.0.0.1", signal: stopping.signal, onListen() {} },
    async (request) => {
      const url = new URL(request.url);
      const body = await request.text();
      const path = url.pathname;
      node.requests.push({ path, body });
      const answer = () => answerTruly(node, request.method, url, body);
      return failure && path.includes(failing)
        ? await failure(answer, { path, body })
        : await answer();
    },
  );
  const node: TronNode = {
    url: `http://127.0.0.1:${server.addr.port}`,
    evm,
    requests: [],
    cpuLimit: Infinity,
    solidLag,
    registered: new Set(),
    fail(next, on = "") {
      failure = next;
      failing = on;
    },
    toTronAddress: (address) => TronWeb.address.fromHex(address),
    async [Symbol.asyncDispose]() {
      // not shutdown(): it would wait for the answers that a failure never gives
      stopping.abort();
      await server.finished;
    },
  };
  return node;
}

async function answerTruly(
  node: TronNode,
  method: string,
  url: URL,
  body: string,
): Promise<Response> {
  if (body.length > MAX_BODY_BYTES) {
    return new Response("<h1>Request Entity Too Large</h1>", { status: 413 });
  }
  const [, side, name, ...rest] = url.pathname.split("/");
  const answer = rest.length > 0
    ? undefined
    : side === "jsonrpc" && name === undefined
    ? await answerJsonRpc(node, body)
    : side === "wallet" || side === "walletsolidity"
    ? await answerWallet(node, { side, name, method, query: url.searchParams, body })
    : undefined;
  if (answer === undefined) return new Response("<h1>404 Not Found</h1>", { status: 404 });
  return answerWith(`${answer}\n`)(() => Promise.reject(), { path: url.pathname, body });
}

async function copyMulticall3(evm: EvmNode, address: string): Promise<void> {
  const code = await evm.rpc<string>("eth_getCode", [EVM_MULTICALL3, "latest"]);
  if (code === "0x") {
    throw new Error("Cannot place Multicall3 on TRON: the EVM node has none to copy");
  }
  await evm.setCode(address, code);
}
