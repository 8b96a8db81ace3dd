import { assertEquals, assertThrows } from "@std/assert";
import { Interface } from "ethers";
import {
  addressWord,
  type Call,
  decodeAggregate3,
  encodeAggregate3,
  selectors,
} from "../../functions/balance-sync/chains/multicall3.ts";
import { random } from "./random.ts";

const abi = new Interface([
  "function aggregate3((address target, bool allowFailure, bytes callData)[]) payable returns ((bool success, bytes returnData)[])",
  "function balanceOf(address) view returns (uint256)",
  "function getEthBalance(address) view returns (uint256)",
  "function getChainId() view returns (uint256)",
  "function getBlockNumber() view returns (uint256)",
  "function getCurrentBlockTimestamp() view returns (uint256)",
]);

const encodedByEthers = (calls: Call[]) =>
  abi.encodeFunctionData("aggregate3", [
    calls.map(({ target, data }) => ["0x" + target, true, "0x" + data]),
  ]);

Deno.test("selectors are those of the signatures", () => {
  for (const [name, selector] of Object.entries(selectors)) {
    assertEquals("0x" + selector, abi.getFunction(name)?.selector);
  }
});

Deno.test("calldata is ethers' byte for byte on 10,000 random batches, and results are its values", () => {
  const { below, hex, pick } = random(1);
  for (let batch = 0; batch < 10_000; batch++) {
    const calls = Array.from({ length: batch === 0 ? 0 : below(5) }, (): Call => ({
      target: hex(20),
      data: pick([
        selectors.balanceOf + addressWord(hex(20)),
        selectors.getChainId,
        hex(below(100)),
      ]),
    }));
    assertEquals("0x" + encodeAggregate3(calls), encodedByEthers(calls), `batch ${batch}`);
    const results = calls.map(() => ({
      success: below(4) > 0,
      data: pick([hex(32), "", hex(below(100))]),
    }));
    const answer = abi.encodeFunctionResult("aggregate3", [
      results.map(({ success, data }) => [success, "0x" + data]),
    ]);
    assertEquals(decodeAggregate3(answer.slice(2), calls.length), results, `batch ${batch}`);
  }
});

Deno.test("1,000 calls are encoded as ethers does", () => {
  const { hex } = random(2);
  const calls = Array.from({ length: 1000 }, (): Call => ({
    target: hex(20),
    data: selectors.balanceOf + addressWord(hex(20)),
  }));
  const encoded = encodeAggregate3(calls);
  assertEquals(encoded.length / 2, 68 + 224 * 1000);
  assertEquals("0x" + encoded, encodedByEthers(calls));
});

Deno.test("only the layout that a contract produces is decoded", () => {
  const word = (value: number | bigint) => value.toString(16).padStart(64, "0");
  const result = (success: number | bigint, length = 32, data = word(7)) =>
    word(success) + word(64) + word(length) + data;
  const good = word(32) + word(2) + word(64) + word(192) + result(1) + result(0);
  assertEquals(decodeAggregate3(good, 2), [
    { success: true, data: word(7) },
    { success: false, data: word(7) },
  ]);
  const bad: Record<string, string> = {
    "nothing": "",
    "another count": good.replace(word(2), word(3)),
    "an offset elsewhere": word(64) + good.slice(64),
    "overlapping results": word(32) + word(2) + word(64) + word(64) + result(1) + result(0),
    "swapped offsets": word(32) + word(2) + word(192) + word(64) + result(1) + result(0),
    "a bool of 2": word(32) + word(2) + word(64) + word(192) + result(2) + result(0),
    "a bool of 2^255": word(32) + word(2) + word(64) + word(192) + result(1n << 255n) + result(0),
    "a length of 2^255": good.replace(result(0), word(0) + word(64) + word(1n << 255n) + word(7)),
    "a length past the end": good.replace(result(0), result(0, 64)),
    "a dirty padding": good.replace(result(0), result(0, 31)),
    "a missing byte": good.slice(0, -2),
    "a byte too many": good + "00",
    "half a byte": good.slice(0, -1),
    "capitals": good.toUpperCase().replace("7", "A"),
    "what is no hex": good.replace("7", "g"),
  };
  for (const [what, answer] of Object.entries(bad)) {
    assertThrows(() => decodeAggregate3(answer, 2), RangeError, undefined, what);
  }
  assertThrows(() => decodeAggregate3(good, 1), RangeError);
});
