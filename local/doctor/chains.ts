/** Whether the chains answer, as the chains they are taken for. */
import type { ReadResult } from "../../functions/balance-sync/chains/adapter.ts";
import { families, openChain } from "../../functions/balance-sync/chains/mod.ts";
import { examineContracts } from "./contracts.ts";
import type { ExaminedChain, Finding } from "./examine.ts";

/** An account on every EVM chain and on TRON. */
const anybody = "0x000000000000000000000000000000000000dead";

/** A chain with the id that its nodes answered. */
interface Answering {
  chain: ExaminedChain;
  chainId: bigint;
}

export async function examineChains(chains: ExaminedChain[]): Promise<Finding[]> {
  // What cannot be asked at all is the database's to say.
  const askable = chains.filter(({ adapter, rpc_url }) =>
    Object.hasOwn(families, adapter) && /^\s*https?:\/\//i.test(rpc_url ?? "")
  );
  const answers = await Promise.all(askable.map(examineChain));
  const answering = answers.flatMap(({ answering }) => answering ?? []);
  return [...answers.flatMap(({ findings }) => findings), ...namesakes(answering)];
}

async function examineChain(
  chain: ExaminedChain,
): Promise<{ findings: Finding[]; answering?: Answering }> {
  const urls = [chain.rpc_url, ...chain.settings.fallback_rpc_urls ?? []];
  const results = await Promise.all(urls.map((url) => ask(chain, url)));
  const good = results.findIndex((result) => !("error" in result));
  const faults = results.flatMap((result, i) =>
    "error" in result ? [fault(chain, i, result.error, good !== -1)] : []
  );
  // Settings that are no good are so for every endpoint.
  const findings = [...new Map(faults.map((fault) => [fault.detail, fault])).values()];
  const result = results[good];
  if (!result || "error" in result || result.chainId === undefined) return { findings };

  // Whatever comes next is asked of an endpoint that answers.
  const settings = { ...chain.settings, fallback_rpc_urls: [] };
  const contracts = await examineContracts(
    { ...chain, rpc_url: urls[good]!, settings },
    result.chainId,
  );
  return {
    findings: [...findings, ...contracts],
    answering: { chain, chainId: result.chainId },
  };
}

/** A balance read through one endpoint, as the function would read it. */
async function ask(chain: ExaminedChain, rpc_url: string): Promise<ReadResult> {
  const settings = { ...chain.settings, fallback_rpc_urls: [] };
  const reader = await openChain({ ...chain, rpc_url, settings });
  const probe = {
    id: chain.chain_id,
    address: anybody,
    asset_id: chain.chain_id,
    is_native: true,
    contract_address: null,
    decimals: 18,
  };
  const [result] = await reader.read([probe], new AbortController().signal);
  return result!;
}

function fault(
  { chain_id, name, settings }: ExaminedChain,
  place: number,
  { code, message }: { code: string; message: string },
  othersAnswer: boolean,
): Finding {
  const column = place === 0 ? "rpc_url" : `fallback_rpc_urls[${place}]`;
  const said = `${code}: ${message.replace(/^(endpoint 1 of 1|rpc_url)/, column)}`;
  const severity = othersAnswer ? "warning" as const : "error" as const;
  const url =
    `update public.chains set rpc_url = '<URL of a node of ${name}>' where id = '${chain_id}';`;
  const remedy = place === 0
    ? url
    : `update balance_sync.chain_settings set fallback_rpc_urls = array_remove(fallback_rpc_urls, ` +
      `fallback_rpc_urls[${place}]) where chain_id = '${chain_id}';`;
  switch (code) {
    case "wrong_chain":
      return {
        finding: "wrong_chain",
        severity,
        detail:
          `expected ${column} of chain ${name} to be a node of chain ${settings.evm_chain_id}, found ${said}`,
        affected: 1,
        remedy,
      };
    case "invalid_chain_settings":
      return {
        finding: "invalid_chain_settings",
        severity,
        detail: `expected chain_settings of chain ${name} to be usable, found ${said}`,
        affected: 1,
        remedy: message.startsWith("rpc_url")
          ? remedy
          : `update balance_sync.chain_settings set <column> = default where chain_id = '${chain_id}';`,
      };
    default:
      return {
        finding: "chain_unreachable",
        severity,
        detail: `expected ${column} of chain ${name} to answer, found ${said}`,
        affected: 1,
        remedy,
      };
  }
}

/** Two chains behind one id are one chain, and what wallets hold there counts twice. */
function namesakes(answering: Answering[]): Finding[] {
  return [...Map.groupBy(answering, ({ chainId }) => chainId)]
    .filter(([, chains]) => chains.length > 1)
    .map(([chainId, chains]) => {
      const names = chains.map(({ chain }) => chain.name);
      const last = chains.at(-1)!.chain;
      return {
        finding: "same_chain_twice",
        severity: "warning",
        detail:
          `expected each chain to have an id of its own, found ${
            names.join(" and ")
          } to be chain ${chainId} both: ` +
          "one of them has the other's rpc_url, or the chain is there twice",
        affected: chains.length,
        remedy:
          `update public.chains set rpc_url = '<URL of a node of ${last.name}>' where id = '${last.chain_id}';`,
      };
    });
}
