/** How the doctor looks at a contract, per chain family. */
import { keccak256 } from "ethers";
import type { Chain } from "../../functions/balance-sync/chains/adapter.ts";
import type { Endpoint } from "../../functions/balance-sync/chains/http.ts";

/** What a contract answers: hex without 0x; or why there is nothing to read. */
export type Seen = { data: string } | { none: "no code" | "no answer" };

export interface Eyes {
  /** Calls a contract, named by 40 hexadecimal digits, with hex without 0x. */
  call(contract: string, data: string): Promise<Seen>;
  /** keccak256 of its code, where a family tells. */
  codeHash?(contract: string): Promise<string>;
}

type Open = (endpoint: Endpoint, chain: Chain) => Eyes;

/** One entry for each of `families`, and imported as late. */
export const eyes: Record<string, () => Promise<Open>> = {
  async evm() {
    const { CallReverted, EndpointProvider } = await import(
      "../../functions/balance-sync/chains/json_rpc.ts"
    );
    return (endpoint, { settings }) => {
      const provider = new EndpointProvider(endpoint);
      const at = settings.block_tag ?? "latest";
      const codeOf = (contract: string): Promise<string> =>
        provider.send("eth_getCode", [`0x${contract}`, at]);
      return {
        async call(contract, data) {
          try {
            const request = { to: `0x${contract}`, data: `0x${data}` };
            const answer: string = await provider.send("eth_call", [request, at]);
            if (answer !== "0x") return { data: answer.slice(2) };
          } catch (failure) {
            if (!(failure instanceof CallReverted)) throw failure;
          }
          return { none: await codeOf(contract) === "0x" ? "no code" : "no answer" };
        },
        async codeHash(contract) {
          return keccak256(await codeOf(contract));
        },
      };
    };
  },

  async tron() {
    const { TronEndpoint } = await import("../../functions/balance-sync/chains/tron_endpoint.ts");
    return (endpoint) => {
      const node = new TronEndpoint(endpoint, "wallet");
      return {
        async call(contract, data) {
          const result = await node.call(contract, data);
          if (!("failed" in result)) {
            return result.data === "" ? { none: "no answer" } : { data: result.data };
          }
          return { none: result.failed === "no code" ? "no code" : "no answer" };
        },
      };
    };
  },
};
