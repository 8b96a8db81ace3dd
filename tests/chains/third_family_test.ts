/**
 * A family in one file: nodes of the "ledger" chain answer GET /<contract or native>/<account> with
 * {"chain":7,"block":1,"raw":"5"}. What it takes is the fifty lines of `ledger`; the rest of this
 * file is its world, and the suite is everybody's.
 */
import type { ChainFamily, ReadResult } from "../../functions/balance-sync/chains/adapter.ts";
import { ChainFailure, jsonOf, openTransport } from "../../functions/balance-sync/chains/http.ts";
import { guard } from "../../functions/balance-sync/chains/mod.ts";
import { conformance } from "./conformance.ts";
import { startProxy } from "./proxy.ts";
import type { World } from "./world.ts";

const ledger: ChainFamily = {
  parseAddress(address, use) {
    if (!/^[at]-[0-9a-f]{8}$/i.test(address)) throw new TypeError("expected a- or t- and 8 digits");
    const canonical = address.toLowerCase();
    if (canonical.startsWith("t") !== (use === "contract")) throw new TypeError(`not a ${use}`);
    return canonical;
  },
  open(chain) {
    const transport = openTransport(chain);
    const expected = Number(chain.settings.evm_chain_id ?? 7);
    return {
      get rpcCalls() {
        return transport.rpcCalls;
      },
      async read(rows, signal) {
        const accounts = Map.groupBy(
          rows,
          ({ contract_address, address }) => `${contract_address ?? "native"}/${address}`,
        );
        return (await Promise.all(
          [...accounts].map(([path, rows]) =>
            transport.run(async (endpoint) => {
              const answer = await endpoint.send({ method: "GET", path });
              const said = jsonOf(answer, endpoint.alias) as Record<string, unknown> | null;
              const fail = (code: "wrong_chain" | "rpc_bad_response" | "rpc_rate_limited") =>
                new ChainFailure(code, `${endpoint.alias}: ${code}`, { remedy: "out" });
              if (said?.error === "busy") throw fail("rpc_rate_limited");
              if (said?.error === "paused") return rows.map(({ id }) => reverted(id));
              if (typeof said?.raw !== "string" || !/^\d+$/.test(said.raw)) {
                throw fail("rpc_bad_response");
              }
              if (said.chain !== expected) throw fail("wrong_chain");
              const [raw, block] = [BigInt(said.raw), BigInt(Number(said.block))];
              return rows.map(({ id }): ReadResult => ({ id, raw, block }));
            }, signal).catch((failure): ReadResult[] => {
              if (!(failure instanceof ChainFailure)) throw failure;
              return rows.map(({ id }) => ({ id, error: failure.error }));
            })
          ),
        )).flat();
      },
    };
  },
};

function reverted(id: string): ReadResult {
  return { id, error: { code: "call_reverted", message: "paused", scope: "contract" } };
}

async function startLedgerWorld(): Promise<World> {
  const balances = new Map<string, bigint>();
  const paused = new Set<string>();
  const node = await startProxy("http://127.0.0.1:1");
  node.behave(({ request }) => {
    const path = new URL(request.url).pathname.slice(1);
    const [contract = "", account] = path.split("/");
    if (account === undefined) return new Response("", { status: 404 });
    if (paused.has(contract)) return Response.json({ error: "paused" });
    return Response.json({ chain: 7, block: 1, raw: `${balances.get(path) ?? 0n}` });
  });
  const proxy = await startProxy(node.url);
  const chain = {
    chain_id: "",
    name: "ledger",
    adapter: "ledger",
    rpc_url: proxy.url,
    settings: {},
  };
  const address = (kind: string) => `${kind}-${crypto.randomUUID().slice(0, 8)}`;
  return {
    chain,
    proxy,
    open: (settings = {}, rpc_url = proxy.url) =>
      Promise.resolve(guard(ledger, { ...chain, rpc_url, settings })),
    maxNative: 2n ** 256n - 1n,
    wallet(native = 0n) {
      const wallet = address("a");
      balances.set(`native/${wallet}`, native);
      return Promise.resolve(wallet);
    },
    token(holdings) {
      const token = address("t");
      for (const [wallet, raw] of holdings) balances.set(`${token}/${wallet}`, raw);
      return Promise.resolve(token);
    },
    badToken(kind) {
      if (kind !== "reverts") return Promise.resolve(undefined);
      const token = address("t");
      paused.add(token);
      return Promise.resolve(token);
    },
    spellings: (address) => [address, address.toUpperCase()],
    notAddresses: ["", "a-123", "0x52908400098527886E0F7030069857D2E4169EE7"],
    notContracts: ["a-00000000"],
    otherChain: { evm_chain_id: 8 },
    rateLimits: { busy: () => Response.json({ error: "busy" }) },
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
    },
  };
}

conformance("a third family, in one file", startLedgerWorld);
