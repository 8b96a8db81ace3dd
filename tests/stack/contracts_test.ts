import { assertEquals, assertRejects } from "@std/assert";
import { compile } from "../../local/contracts/mod.ts";

const pragma = "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.20;\n";

Deno.test("every contract of every source comes back by its name", async () => {
  const contracts = await compile({
    "One.sol": `${pragma} contract One { uint256 public one = 1; }`,
    "Others.sol": `${pragma} import "One.sol"; contract Two is One {} contract Three {}`,
  });
  assertEquals(Object.keys(contracts).sort(), ["One", "Three", "Two"]);
  for (const { abi, bytecode, runtime } of Object.values(contracts)) {
    assertEquals(Array.isArray(abi), true);
    assertEquals(bytecode.includes(runtime.slice(2)), true);
  }
});

Deno.test("a changed source is compiled anew", async () => {
  const source = (value: number) => ({
    "Kept.sol": `${pragma} contract Kept { uint256 public constant kept = ${value}; }`,
  });
  const [first, second, again] = [
    await compile(source(0xabcd01)),
    await compile(source(0xabcd02)),
    await compile(source(0xabcd01)),
  ];
  assertEquals(first, again);
  assertEquals(first.Kept?.runtime.includes("abcd01"), true);
  assertEquals(second.Kept?.runtime.includes("abcd02"), true);
});

Deno.test("a source that does not compile is an error with its file and line", async () => {
  await assertRejects(
    () => compile({ "Wrong.sol": `${pragma}contract Wrong { uint256 public wrong = "one"; }` }),
    SyntaxError,
    "Wrong.sol:3:",
  );
});
