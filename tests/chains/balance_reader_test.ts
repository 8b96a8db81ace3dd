import { assertEquals, assertRejects } from "@std/assert";
import solc from "solc";
import {
  callData,
  decodeAnswer,
  encodeQuestion,
  maxRows,
} from "../../functions/balance-sync/chains/balance_reader.ts";
import type { Row } from "../../functions/balance-sync/chains/sighting.ts";
import { startEvmNode } from "../../local/evm_node.ts";
import { random } from "./random.ts";

Deno.test("the code is what solc makes of balance_reader.yul", async () => {
  const file = new URL(
    "../../functions/balance-sync/chains/balance_reader.yul",
    import.meta.url,
  );
  const output = JSON.parse(solc.compile(JSON.stringify({
    language: "Yul",
    sources: { "balance_reader.yul": { content: await Deno.readTextFile(file) } },
    settings: {
      // The oldest rules that matter: no PUSH0, which chains without Shanghai lack.
      evmVersion: "london",
      optimizer: { enabled: true, details: { yul: true } },
      outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
    },
  })));
  const compiled = output.contracts["balance_reader.yul"].BalanceReader.evm.bytecode.object;
  assertEquals(callData(""), compiled);
});

Deno.test("an answer is taken only whole, unaltered and for its own question", async (t) => {
  await using node = await startEvmNode({ chainId: 5 });
  const { hex, below } = random(3);
  const rows: Row[] = [
    { id: "native", token: undefined, owner: hex(20) },
    { id: "no code", token: hex(20), owner: hex(20) },
    { id: "another length", token: "ca11bde05977b3631167028862be2a173976ca11", owner: hex(20) },
  ];
  await node.setBalance("0x" + rows[0]!.owner, 2n ** 256n - 1n);
  const ask = async (question: string) => {
    const call = { data: "0x" + callData(question) };
    return (await node.rpc<string>("eth_call", [call, "latest"])).slice(2);
  };
  const question = encodeQuestion(rows, 100_000);
  const answer = await ask(question);

  await t.step("the true one", async () => {
    const { chainId, block, outcomes } = await decodeAnswer(answer, question);
    assertEquals([chainId, block], [5n, 0n]);
    assertEquals(outcomes, [
      { raw: 2n ** 256n - 1n },
      { failed: "no code" },
      { failed: "reverted", data: "" },
    ]);
  });

  await t.step("not with any one bit flipped", async () => {
    for (let bit = 0; bit < answer.length * 4; bit++) {
      const at = bit >> 2;
      const flipped = (parseInt(answer[at]!, 16) ^ 1 << (bit & 3)).toString(16);
      const altered = answer.slice(0, at) + flipped + answer.slice(at + 1);
      await assertRejects(() => decodeAnswer(altered, question), RangeError);
    }
  });

  await t.step("not cut short or longer", async () => {
    for (let length = 0; length < answer.length; length += 1 + below(9)) {
      await assertRejects(() => decodeAnswer(answer.slice(0, length), question), RangeError);
    }
    await assertRejects(() => decodeAnswer(answer + "00", question), RangeError);
  });

  await t.step("not for another question", async () => {
    const others = [rows.toReversed(), rows.slice(1), [...rows, rows[0]!]].map((rows) =>
      encodeQuestion(rows, 100_000)
    );
    others.push(encodeQuestion(rows, 100_001));
    for (const other of others) {
      await assertRejects(() => decodeAnswer(answer, other), RangeError);
      await assertRejects(async () => decodeAnswer(await ask(other), question), RangeError);
    }
  });

  await t.step("the most rows there may be, all of them failing", async () => {
    const many = Array.from({ length: maxRows }, () => rows[2]!);
    const full = encodeQuestion(many, 100_000);
    const { outcomes } = await decodeAnswer(await ask(full), full);
    assertEquals(outcomes.length, maxRows);
  });
});
