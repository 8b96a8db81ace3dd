import { assertEquals } from "@std/assert";
import { startEvmNode } from "../../local/evm_node.ts";
import { chainId, evmAddress, onProject, post, summaryOf } from "./project.ts";

onProject("the chain behind a URL", {
  async "a URL that leads to another chain one day is wrong_chain, and the balance stays"(
    { project, node },
  ) {
    const wallet = evmAddress(1);
    await node.setBalance(wallet, 5n);
    const chain = await project.addChain("ethereum", node.url);
    const [id] = await project.addBalances(chain, [wallet]);
    await summaryOf(await project.handler()(post()));

    await using other = await startEvmNode({ chainId: chainId + 1 });
    await other.setBalance(wallet, 7n);
    await other.mine(100);
    await project.sql("update public.chains set rpc_url = $1", [other.url]);
    const summary = await summaryOf(await project.handler()(post({ chain: "ethereum" })));
    assertEquals([summary.recorded, summary.failed], [0, 1]);
    assertEquals(summary.chains[0]!.errors, { wrong_chain: 1 });
    const { on_chain_balance_raw, last_error } = await project.balance(id!);
    assertEquals(on_chain_balance_raw, "5");
    assertEquals(last_error?.split(":")[0], "wrong_chain");
  },

  async "evm_chain_id says so when the chain was meant to change"({ project, node }) {
    const wallet = evmAddress(1);
    await node.setBalance(wallet, 5n);
    const chain = await project.addChain("ethereum", node.url);
    const [id] = await project.addBalances(chain, [wallet]);
    await summaryOf(await project.handler()(post()));

    await using other = await startEvmNode({ chainId: chainId + 1 });
    await other.setBalance(wallet, 7n);
    await other.mine(100);
    await project.sql("update public.chains set rpc_url = $1", [other.url]);
    await project.sql(
      `insert into balance_sync.chain_settings (chain_id, evm_chain_id) values ($1, $2)
       on conflict (chain_id) do update set evm_chain_id = excluded.evm_chain_id`,
      [chain, chainId + 1],
    );
    await summaryOf(await project.handler()(post({ chain: "ethereum" })));
    assertEquals((await project.balance(id!)).on_chain_balance_raw, "7");
  },
});
