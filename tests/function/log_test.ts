import { assertEquals } from "@std/assert";
import { tokenContract } from "../../local/contracts/mod.ts";
import { createLog, type Level, levels } from "../../functions/balance-sync/log.ts";
import { evmAddress, onProject, post, summaryOf } from "./project.ts";

/** Log lines by their message. */
function events(said: string[]): Record<string, Record<string, unknown>[]> {
  const lines = said.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  return Object.groupBy(lines, ({ message }) => message) as Record<
    string,
    Record<string, unknown>[]
  >;
}

onProject("the log of a run", {
  async "tells of each row at debug, with its asset and chain"({ project, node, said }) {
    const chain = await project.addChain("ethereum", node.url);
    const [native] = await project.addBalances(chain, [evmAddress(1)]);
    const contract = await node.deploy(await tokenContract(), ["Dollar", "USD", 6]);
    const [token] = await project.addBalances(chain, [evmAddress(1)], { contract });
    const [broken] = await project.addBalances(chain, [evmAddress(1)], { contract: evmAddress(9) });
    const assets = await project.sql<{ id: string; asset_id: string }>(
      `select b.id, a.asset_id from public.wallet_balances b
       join public.asset_on_chain a on a.id = b.asset_on_chain_id`,
    );
    const assetOf = (id: string) => assets.find((asset) => asset.id === id)!.asset_id;

    const { run_id } = await summaryOf(await project.handler({ logLevel: "debug" })(post()));
    const told = events(said);
    const ofNative = {
      level: "debug",
      run_id,
      wallet_balance_id: native,
      chain: "ethereum",
      asset_type: "native",
      asset_id: assetOf(native!),
      contract_address: null,
    };
    const ofToken = {
      ...ofNative,
      wallet_balance_id: token,
      asset_type: "token",
      asset_id: assetOf(token!),
      contract_address: contract,
    };
    const pick = (message: string, like: Record<string, unknown>) =>
      told[message]!.map((line) =>
        Object.fromEntries(Object.keys(like).map((key) => [key, line[key]]))
      );
    assertEquals(pick("Fetched native asset balance", ofNative), [ofNative]);
    assertEquals(pick("Fetched token asset balance", ofToken), [ofToken]);
    assertEquals(told["Wallet balance synced successfully"]!.length, 2);
    assertEquals(told["Balance was not read"]!.map((line) => line.wallet_balance_id), [broken]);
    assertEquals(told["Balance was not read"]![0]!.code, "no_contract");
  },

  async "is one summary line at info, however many rows there are"({ project, node, said }) {
    const chain = await project.addChain("ethereum", node.url);
    await project.addBalances(chain, Array.from({ length: 30 }, (_, i) => evmAddress(i)));
    const summary = await summaryOf(
      await project.handler({ logLevel: "info" })(post({ batch_size: 10 })),
    );
    assertEquals(said.length, 1);
    const { time, ...line } = JSON.parse(said[0]!);
    assertEquals(new Date(time).toISOString(), time);
    assertEquals(line, { level: "info", message: "Balance sync run ended", ...summary });
  },

  async "names a chain that was not read once per batch, whatever the number of rows"(
    { project, proxy, said },
  ) {
    proxy.behave(() => new Response("no", { status: 403 }));
    const chain = await project.addChain("ethereum", proxy.url);
    await project.addBalances(chain, Array.from({ length: 30 }, (_, i) => evmAddress(i)));
    await summaryOf(await project.handler({ logLevel: "warn" })(post()));
    const told = events(said);
    assertEquals(Object.keys(told), ["Chain was not read"]);
    assertEquals(told["Chain was not read"]!.length, 1);
    const { chain: name, code, balances } = told["Chain was not read"]![0]!;
    assertEquals([name, code, balances], ["ethereum", "rpc_unauthorized", 30]);
  },

  // deno-lint-ignore require-await
  async "has the levels from the configured one up"({ said }) {
    const heard = (lowest: Level) => {
      said.length = 0;
      const log = createLog(lowest);
      for (const level of levels) log[level]("something");
      return said.map((line) => JSON.parse(line).level);
    };
    assertEquals(heard("debug"), ["debug", "info", "warn", "error"]);
    assertEquals(heard("warn"), ["warn", "error"]);
    assertEquals(heard("error"), ["error"]);
  },
});
