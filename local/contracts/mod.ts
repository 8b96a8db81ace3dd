/** Solidity to bytecode, with the real compiler. */
import { cached } from "../cache.ts";

export interface Contract {
  abi: unknown[];
  /** What a deployment sends, constructor arguments still to be appended. */
  bytecode: string;
  /** What lies at the address afterwards; for `setCode`. */
  runtime: string;
}

interface Output {
  errors?: { severity: string; formattedMessage: string }[];
  contracts?: Record<string, Record<string, SolcContract>>;
}

interface SolcContract {
  abi: unknown[];
  evm: { bytecode: { object: string }; deployedBytecode: { object: string } };
}

const SETTINGS = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "shanghai",
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
};

/** Contracts by name, of sources by file name. A result is kept by the hash of its sources: solc takes seconds. */
export async function compile(sources: Record<string, string>): Promise<Record<string, Contract>> {
  const input = JSON.stringify({
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(sources).map(([k, content]) => [k, { content }])),
    settings: SETTINGS,
  });
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(input));
  const name = `solc/${new Uint8Array(digest).toHex()}.json`;
  return JSON.parse(await cached(name, async () => JSON.stringify(await run(input))));
}

/** `Token.sol`: name, symbol and decimals to the constructor; `mint(address,uint256)`, `setReverting(bool)`. */
export async function tokenContract(): Promise<Contract> {
  const source = await Deno.readTextFile(new URL("Token.sol", import.meta.url));
  const { Token } = await compile({ "Token.sol": source });
  return Token!;
}

async function run(input: string): Promise<Record<string, Contract>> {
  const { default: solc } = await import("solc");
  const output: Output = JSON.parse(solc.compile(input));
  const errors = output.errors?.filter((error) => error.severity === "error") ?? [];
  if (errors.length > 0) {
    throw new SyntaxError(
      `Cannot compile: ${errors.map((error) => error.formattedMessage.trim()).join("\n")}`,
    );
  }
  const contracts: Record<string, Contract> = {};
  for (const file of Object.values(output.contracts ?? {})) {
    for (const [name, { abi, evm }] of Object.entries(file)) {
      contracts[name] = {
        abi,
        bytecode: `0x${evm.bytecode.object}`,
        runtime: `0x${evm.deployedBytecode.object}`,
      };
    }
  }
  return contracts;
}
