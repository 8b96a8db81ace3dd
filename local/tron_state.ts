/** What the TRON façade asks of its EVM node. */
import type { EvmNode } from "./evm_node.ts";
import type { TronNode } from "./tron_node.ts";

export interface EvmBlock {
  number: bigint;
  hash: string;
  parentHash: string;
  /** Seconds. */
  timestamp: bigint;
  /** How the EVM node is asked for the state there. */
  tag: string;
}

/** The head, the block `/walletsolidity` serves, or the block of a number. */
export async function block(
  { evm, solidLag }: TronNode,
  which: "head" | "solid" | number,
): Promise<EvmBlock> {
  let tag = typeof which === "number" ? quantity(which) : "latest";
  if (which === "solid" && solidLag > 0) {
    const head = Number(await evm.rpc<string>("eth_blockNumber"));
    tag = quantity(Math.max(0, head - solidLag));
  }
  const found = await evm.rpc<Record<string, string>>("eth_getBlockByNumber", [tag, false]);
  return {
    number: BigInt(found.number!),
    hash: found.hash!,
    parentHash: found.parentHash!,
    timestamp: BigInt(found.timestamp!),
    tag,
  };
}

/** What a call gave back, or the Java exception that ended it. Hex without 0x. */
export type CallResult = { data: string; reverted: boolean } | { exception: string };

export function isCalledOff(result: CallResult): result is { exception: string } {
  return "exception" in result;
}

/** Executes `data` at `to`, or as constructor code where there is no `to`. */
export async function call(
  { evm, cpuLimit }: TronNode,
  { tag }: EvmBlock,
  { from, to, data }: { from: string | undefined; to: string | undefined; data: string },
): Promise<CallResult> {
  const transaction = { ...from && { from }, ...to && { to }, data: `0x${data}` };
  if (cpuLimit < Infinity && await callsIn(evm, transaction, tag) > cpuLimit) {
    return { exception: program("OutOfTime", "CPU timeout for 'PUSH1' operation executing") };
  }
  // not evm.rpc, which keeps a revert's data to itself
  const response = await fetch(evm.url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "eth_call",
      params: [transaction, tag],
    }),
  });
  const { result, error } = await response.json();
  if (!error) return { data: result.slice(2), reverted: false };
  if (error.code === 3) return { data: error.data.slice(2), reverted: true };
  if (/gas|oog/i.test(error.message)) {
    return {
      exception: program("OutOfEnergy", "Not enough energy for 'SLOAD' operation executing"),
    };
  }
  if (/opcode/i.test(error.message)) {
    return { exception: program("IllegalOperation", "Invalid operation code: opCode[fe];") };
  }
  return { exception: program("BytecodeExecution", error.message) };
}

/** How many contracts the called one calls in turn, precompiles left out. */
async function callsIn(evm: EvmNode, transaction: unknown, tag: string): Promise<number> {
  const options = { tracer: "callTracer" };
  const { calls = [] } = await evm.rpc<{ calls?: { to: string }[] }>(
    "debug_traceCall",
    [transaction, tag, options],
  );
  return calls.filter(({ to }) => BigInt(to) > 0xffffn).length;
}

function program(exception: string, message: string): string {
  return `org.tron.core.vm.program.Program$${exception}Exception : ${message}`;
}

function quantity(value: number): string {
  return `0x${value.toString(16)}`;
}
