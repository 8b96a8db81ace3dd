/** Whether Multicall3 and the tokens of a chain are what the database takes them for. */
import type { ChainFamily } from "../../functions/balance-sync/chains/adapter.ts";
import { ChainFailure, openTransport } from "../../functions/balance-sync/chains/http.ts";
import { families } from "../../functions/balance-sync/chains/mod.ts";
import {
  decodeAggregate3,
  encodeAggregate3,
  multicall3Address,
  multicall3CodeHash,
  selectors,
} from "../../functions/balance-sync/chains/multicall3.ts";
import type { ExaminedChain, Finding } from "./examine.ts";
import { type Eyes, eyes } from "./eyes.ts";

/** Calls in one JSON-RPC batch: public nodes take 20, some no more. */
const callsPerBatch = 20;
const decimalsSelector = "313ce567";

type Ask = <T>(question: (eyes: Eyes) => Promise<T>) => Promise<T>;

/** `chainId` is the id that the chain's balances come with. */
export async function examineContracts(chain: ExaminedChain, chainId: bigint): Promise<Finding[]> {
  const { name, chain_id, adapter } = chain;
  const [family, open] = await Promise.all([families[adapter]?.(), eyes[adapter]?.()]);
  if (!family || !open) return [];
  const transport = openTransport(chain);
  const ask: Ask = (question) =>
    transport.run((endpoint) => question(open(endpoint, chain)), new AbortController().signal);
  try {
    return [
      ...await examineMulticall(chain, chainId, family, ask),
      ...await examineTokens(chain, family, ask),
    ];
  } catch (failure) {
    if (!(failure instanceof ChainFailure)) throw failure;
    const found = `${failure.code}: ${failure.message}`;
    return [{
      finding: "chain_unreachable",
      severity: "warning",
      detail: `expected chain ${name} to tell of its contracts, found ${found}`,
      affected: 1,
      remedy: `update public.chains set rpc_url = '<URL of a node of ${name}>' ` +
        `where id = '${chain_id}';`,
    }];
  }
}

/**
 * Balances are read by constructor code, which needs no contract; Multicall3 is what is left where a
 * node takes none, or where the operator names one. On TRON only a named one is looked at: outside
 * the main net there is none.
 */
async function examineMulticall(
  { chain_id, name, adapter, settings }: ExaminedChain,
  chainId: bigint,
  family: ChainFamily,
  ask: Ask,
): Promise<Finding[]> {
  const chosen = settings.multicall_address;
  if (!chosen && adapter !== "evm") return [];
  const address = chosen ?? multicall3Address;
  const contract = family.parseAddress(address, "contract").slice(2);
  const question = encodeAggregate3([{ target: contract, data: selectors.getChainId }]);
  const seen = await ask((eyes) => eyes.call(contract, question));

  const setAddress = (value: string) =>
    `insert into balance_sync.chain_settings (chain_id, multicall_address) ` +
    `values ('${chain_id}', ${value}) ` +
    `on conflict (chain_id) do update set multicall_address = excluded.multicall_address;`;
  const remedy = setAddress(chosen ? "null" : `'<address of Multicall3 on ${name}>'`);
  const finding = (finding: string, found: string): Finding[] => [{
    finding,
    severity: "warning",
    detail: `expected Multicall3 at ${address} on chain ${name}, found ${found}`,
    affected: 1,
    remedy,
  }];

  if ("none" in seen && seen.none === "no code") return finding("multicall_missing", "no code");
  const foreign = "another contract: its answers are not to be trusted";
  if ("none" in seen || chainIdIn(seen.data) !== chainId) {
    return finding("multicall_foreign", foreign);
  }
  if (chosen) return [];
  const hash = await ask((eyes) => eyes.codeHash!(contract));
  return hash === multicall3CodeHash ? [] : finding("multicall_foreign", foreign);
}

function chainIdIn(answer: string): bigint | undefined {
  try {
    const [{ success, data }] = decodeAggregate3(answer, 1) as [{ success: boolean; data: string }];
    return success && data.length === 64 ? BigInt(`0x${data}`) : undefined;
  } catch {
    return undefined;
  }
}

interface Token {
  id: string;
  contract_address: string;
  decimals: number | null;
  /** 40 hexadecimal digits. */
  contract: string;
}

async function examineTokens(
  { name, assets }: ExaminedChain,
  family: ChainFamily,
  ask: Ask,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const tokens: Token[] = [];
  for (const { id, is_native, contract_address, decimals } of assets) {
    if (is_native || !contract_address) continue;
    try {
      const contract = family.parseAddress(contract_address, "contract").slice(2);
      tokens.push({ id, contract_address, decimals, contract });
    } catch (error) {
      const { message } = error as Error;
      // What is no address at all, diagnose() has seen itself.
      if (!/checksum|precompiles/.test(message)) continue;
      findings.push({
        finding: "invalid_contract_address",
        severity: "error",
        detail: `expected the address of a token on chain ${name}, found ${contract_address}: ` +
          `${message} (asset_on_chain ${id})`,
        affected: 1,
        remedy: setContract(id, name),
      });
    }
  }

  for (let i = 0; i < tokens.length; i += callsPerBatch) {
    const batch = tokens.slice(i, i + callsPerBatch);
    const seen = await ask((eyes) =>
      Promise.all(batch.map(({ contract }) => eyes.call(contract, decimalsSelector)))
    );
    batch.forEach((token, i) => findings.push(...compare(token, seen[i]!, name)));
  }
  return [...findings, ...twins(tokens, name)];
}

function compare(
  { id, contract_address, decimals }: Token,
  seen: Awaited<ReturnType<Eyes["call"]>>,
  chain: string,
): Finding[] {
  if ("none" in seen) {
    // Some tokens have no decimals(): nothing to compare with.
    if (seen.none === "no answer") return [];
    return [{
      finding: "token_without_code",
      severity: "error",
      detail: `expected a token at ${contract_address} on chain ${chain}, found no code ` +
        `(asset_on_chain ${id})`,
      affected: 1,
      remedy: setContract(id, chain),
    }];
  }
  const found = /^[0-9a-f]{64}$/.test(seen.data) ? BigInt(`0x${seen.data}`) : undefined;
  // What the database has is then none of 0 to 77, which diagnose() has seen itself.
  if (decimals === null || found === undefined || found === BigInt(decimals)) return [];
  return [{
    finding: "decimals_differ",
    severity: "error",
    detail: `expected asset_on_chain.decimals to be decimals() of ${contract_address} on chain ` +
      `${chain}, ${found}, found ${decimals} (asset_on_chain ${id}): its human balances are wrong`,
    affected: 1,
    remedy: `update public.asset_on_chain set decimals = ${found} where id = '${id}';`,
  }];
}

/** One contract under several spellings: those of one spelling diagnose() has seen itself. */
function twins(tokens: Token[], chain: string): Finding[] {
  return [...Map.groupBy(tokens, ({ contract }) => contract).values()]
    .filter((same) =>
      new Set(same.map(({ contract_address }) => contract_address.toLowerCase())).size > 1
    )
    .map(([first, ...others]) => ({
      finding: "counted_twice",
      severity: "warning",
      detail: `on chain ${chain} several active assets are one contract in several spellings, ` +
        `so that its balance is counted several times: ${
          [first!, ...others].map(({ contract_address }) => contract_address).join(", ")
        }`,
      affected: others.length + 1,
      remedy: `update public.asset_on_chain set is_active = false where id in (${
        others.map(({ id }) => `'${id}'`).join(", ")
      });`,
    }));
}

function setContract(id: string, chain: string): string {
  return `update public.asset_on_chain set contract_address = '<contract on ${chain}>' ` +
    `where id = '${id}';`;
}
