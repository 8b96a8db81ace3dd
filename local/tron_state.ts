/** What the TRON façade asks of its EVM node. */
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
  if (callsIn(data) > cpuLimit) {
    return { exception: program("OutOfTime", "CPU timeout for 'PUSH1' operation executing") };
  }
  const response = await fetch(evm.url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "eth_call",
      params: [{ ...from && { from }, ...to && { to }, data: `0x${data}` }, tag],
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

/** Calls of an aggregate3, else one. */
function callsIn(data: string): number {
  return data.startsWith("82ad56cb") ? Number(`0x${data.slice(72, 136)}`) : 1;
}

function program(exception: string, message: string): string {
  return `org.tron.core.vm.program.Program$${exception}Exception : ${message}`;
}

function quantity(value: number): string {
  return `0x${value.toString(16)}`;
}
