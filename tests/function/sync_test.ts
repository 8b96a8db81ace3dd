import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { tokenContract } from "../../local/contracts/mod.ts";
import {
  assertAccounted,
  evmAddress,
  type Handler,
  onProject,
  post,
  type Project,
  summaryOf,
} from "./project.ts";

const hang = ({ closed }: { closed: AbortSignal }) =>
  new Promise<Response>((resolve) =>
    closed.addEventListener("abort", () => resolve(Response.error()))
  );

onProject("a run", {
  async "a native and a token balance are read and recorded in two trips to the database"(
    { project, node },
  ) {
    const chain = await project.addChain("ethereum", node.url);
    const wallet = evmAddress(1);
    await node.setBalance(wallet, 1_234_500_000_000_000_000n);
    const token = await node.deploy(await tokenContract(), ["Dollar", "USD", 6]);
    const [native] = await project.addBalances(chain, [wallet]);
    const [usd] = await project.addBalances(chain, [wallet], { contract: token, decimals: 6 });

    const summary = await summaryOf(await project.handler()(post()));
    assertEquals(project.trips, [
      "claim_wallet_balances",
      "record_wallet_balances",
      "claim_wallet_balances", // nothing left
      "claim_wallet_balances", // good-bye
    ]);
    const { rpc_calls, ...counts } = summary.chains[0]!;
    assertEquals(counts, {
      chain_id: chain,
      name: "ethereum",
      claimed: 2,
      recorded: 2,
      failed: 0,
      errors: {},
    });
    assertLess(rpc_calls, 4);
    assertEquals([summary.batches, summary.changed, summary.stopped_because], [1, 2, "drained"]);
    assertEquals(await project.balance(native!), {
      on_chain_balance_raw: "1234500000000000000",
      on_chain_balance_human: "1.2345",
      sync_count: 1,
      error_count: 0,
      last_error: null,
      processing_status: "idle",
      locked_by: null,
    });
    assertEquals((await project.balance(usd!)).on_chain_balance_raw, "0");
  },

  async "a balance of 2^256 - 1 reaches its row digit by digit"({ project, node }) {
    const chain = await project.addChain("ethereum", node.url);
    const highest = 2n ** 256n - 1n;
    const token = await node.deploy(await tokenContract(), ["Big", "BIG", 77]);
    const { Interface } = await import("ethers");
    const { abi } = await tokenContract();
    const [account] = await node.rpc<string[]>("eth_accounts");
    const data = new Interface(abi as string[]).encodeFunctionData("mint", [
      evmAddress(2),
      highest,
    ]);
    await node.rpc("eth_sendTransactionSync", [{ from: account, to: token, data }]);
    await node.mine();
    const [id] = await project.addBalances(chain, [evmAddress(2)], {
      contract: token,
      decimals: 77,
    });

    await summaryOf(await project.handler()(post()));
    const { on_chain_balance_raw, on_chain_balance_human } = await project.balance(id!);
    assertEquals(on_chain_balance_raw, highest.toString());
    assertEquals(on_chain_balance_human, `1.${highest.toString().slice(1)}`);
  },

  async "one row's failure is counted under its code and its neighbours keep their values"(
    { project, node },
  ) {
    const chain = await project.addChain("ethereum", node.url);
    const [good] = await project.addBalances(chain, [evmAddress(3)]);
    const [bad] = await project.addBalances(chain, [evmAddress(3)], { contract: evmAddress(999) });

    const summary = await summaryOf(await project.handler()(post()));
    assertEquals([summary.recorded, summary.failed], [1, 1]);
    assertEquals(summary.chains[0]!.errors, { no_contract: 1 });
    assertEquals((await project.balance(good!)).sync_count, 1);
    assertEquals((await project.balance(bad!)).error_count, 1);
  },

  async "a run goes on batch by batch until no row is due"({ project, node }) {
    const chain = await project.addChain("ethereum", node.url);
    await project.addBalances(chain, Array.from({ length: 25 }, (_, i) => evmAddress(i)));

    const summary = await summaryOf(await project.handler()(post({ batch_size: 10 })));
    assertEquals([summary.batches, summary.recorded, summary.stopped_because], [3, 25, "drained"]);
  },

  async "a run ends after max_batches and leaves the rest due"({ project, node }) {
    const chain = await project.addChain("ethereum", node.url);
    await project.addBalances(chain, Array.from({ length: 5 }, (_, i) => evmAddress(i)));

    const summary = await summaryOf(
      await project.handler()(post({ batch_size: 2, max_batches: 2 })),
    );
    assertEquals([summary.recorded, summary.stopped_because], [4, "max_batches"]);
    const [left] = await project.sql(
      "select count(*)::int as due from public.wallet_balances where next_sync_at <= now()",
    );
    assertEquals(left, { due: 1 });
  },

  async "BATCH_SIZE is the size of a batch unless the request says otherwise"({ project, node }) {
    const chain = await project.addChain("ethereum", node.url);
    await project.addBalances(chain, Array.from({ length: 4 }, (_, i) => evmAddress(i)));
    const handler = project.handler({ batchSize: 1 });
    assertEquals((await summaryOf(await handler(post({ max_batches: 1 })))).claimed, 1);
    assertEquals((await summaryOf(await handler(post({ batch_size: 3 })))).batches, 1);
  },

  async "with a row filter every row is synced once, the one in a long backoff too"(
    { project, node },
  ) {
    const chain = await project.addChain("ethereum", node.url);
    const ids = await project.addBalances(
      chain,
      Array.from({ length: 5 }, (_, i) => evmAddress(i)),
    );
    await project.sql(
      "update public.wallet_balances set next_sync_at = now() + interval '10 seconds'",
    );
    await project.sql(
      "update public.wallet_balances set next_sync_at = now() + interval '6 hours' where id = $1",
      [ids[4]],
    );
    assertEquals((await summaryOf(await project.handler()(post()))).claimed, 0);

    const filters = [{ wallet_balance_ids: ids }, { chain: "ethereum" }];
    const wallets = await project.sql<{ id: string }>(
      "select wallet_id as id from public.wallet_balances",
    );
    for (const only of [...filters, { wallet_ids: wallets.map(({ id }) => id) }]) {
      const summary = await summaryOf(await project.handler()(post({ ...only, batch_size: 2 })));
      assertEquals(
        [summary.claimed, summary.recorded, summary.released, summary.stopped_because],
        [5, 5, 0, "drained"],
        JSON.stringify(only),
      );
      const synced = await project.sql<{ times: number; leased: number }>(
        "select sync_count as times, count(locked_by)::int as leased from public.wallet_balances group by 1",
      );
      assertEquals(synced.length, 1, "every row as often as the others");
      assertEquals(synced[0]!.leased, 0);
    }
  },

  async "a filter that selects nothing claims nothing"({ project, node }) {
    const chain = await project.addChain("ethereum", node.url);
    await project.addBalances(chain, [evmAddress(1)]);
    for (const only of [{ wallet_balance_ids: [] }, { wallet_ids: [crypto.randomUUID()] }]) {
      const summary = await summaryOf(await project.handler()(post(only)));
      assertEquals([summary.claimed, summary.stopped_because], [0, "drained"]);
    }
  },

  async "a dry run reads and reports each row once, writes nothing and leaves all of them due"(
    { project, node },
  ) {
    const chain = await project.addChain("ethereum", node.url);
    await node.setBalance(evmAddress(1), 7n);
    const [native] = await project.addBalances(chain, [evmAddress(1)]);
    const [token] = await project.addBalances(chain, [evmAddress(1)], {
      contract: evmAddress(999),
    });
    const before = [await project.balance(native!), await project.balance(token!)];

    const summary = await summaryOf(
      await project.handler()(post({ dry_run: true, batch_size: 1 })),
    );
    assertEquals([summary.claimed, summary.released, summary.stopped_because], [2, 2, "drained"]);
    assertEquals(summary.chains[0]!.errors, { no_contract: 1 });
    const read = summary.results!.toSorted((a) => "raw" in a ? -1 : 1);
    assertEquals(read.map(({ id, chain }) => [id, chain]), [[native, "ethereum"], [
      token,
      "ethereum",
    ]]);
    assert("raw" in read[0]! && read[0].raw === "7" && /^\d+$/.test(read[0].block));
    assert("error" in read[1]! && read[1].error.code === "no_contract");
    assertEquals([await project.balance(native!), await project.balance(token!)], before);
    assertEquals((await summaryOf(await project.handler()(post()))).claimed, 2);
  },

  async "NDJSON tells of claim and record as they happen, and the summary last"({ project, node }) {
    const chain = await project.addChain("ethereum", node.url);
    const [id] = await project.addBalances(chain, [evmAddress(1)], { contract: evmAddress(999) });
    await project.addBalances(chain, [evmAddress(2)]);

    const response = await project.handler()(post({}, { accept: "application/x-ndjson" }));
    assertEquals(response.headers.get("content-type"), "application/x-ndjson");
    const lines = (await response.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map((line) => line.event), ["claimed", "recorded", undefined]);
    const [claimed, recorded, summary] = lines;
    assertEquals(claimed, { event: "claimed", batch: 1, claimed: 2, chains: { ethereum: 2 } });
    const { failures, ...counts } = recorded;
    assertEquals(counts, {
      event: "recorded",
      batch: 1,
      recorded: 1,
      changed: 1,
      failed: 1,
      stale: 0,
      lost: 0,
      released: 0,
    });
    assertEquals([failures.length, failures[0].id, failures[0].error.code], [1, id, "no_contract"]);
    assertAccounted(summary);
    assertEquals(summary.stopped_because, "drained");
  },

  async "who hangs up in the middle of NDJSON does not stop the run"({ project, node }) {
    const chain = await project.addChain("ethereum", node.url);
    await project.addBalances(chain, [evmAddress(1), evmAddress(2)]);
    const response = await project.handler()(
      post({ batch_size: 1 }, { accept: "application/x-ndjson" }),
    );
    await response.body!.cancel();
    await ended(project);
    const [done] = await project.sql(
      "select count(*)::int as n from public.wallet_balances where sync_count = 1",
    );
    assertEquals(done, { n: 2 });
  },

  async "respond-async answers before the rows are read and keeps the isolate until they are"(
    { project, proxy },
  ) {
    const chain = await project.addChain("ethereum", proxy.url);
    const [id] = await project.addBalances(chain, [evmAddress(1)]);
    const gate = Promise.withResolvers<void>();
    proxy.behave(async ({ forward }) => {
      await gate.promise;
      return await forward();
    });
    const kept: Promise<unknown>[] = [];
    const platform = globalThis as { EdgeRuntime?: unknown };
    platform.EdgeRuntime = { waitUntil: (work: Promise<unknown>) => kept.push(work) };
    try {
      const run = crypto.randomUUID();
      const response = await project.handler()(
        post({}, { prefer: "respond-async", "x-balance-sync-run": run }),
      );
      assertEquals([response.status, await response.json()], [202, { run_id: run }]);
      assertEquals((await project.balance(id!)).sync_count, 0);
      gate.resolve();
      assertEquals(kept.length, 1);
      await kept[0];
      assertEquals((await project.balance(id!)).sync_count, 1);
      const [ledger] = await project.sql(
        "select id, stopped_because, recorded::int from balance_sync.runs",
      );
      assertEquals(ledger, { id: run, stopped_because: "drained", recorded: 1 });
    } finally {
      delete platform.EdgeRuntime;
    }
  },

  async "a chain that hangs does not keep the others from being recorded at once"(
    { project, node, proxy },
  ) {
    const [fast] = await project.addBalances(await project.addChain("fast", node.url), [
      evmAddress(1),
    ]);
    const [slow] = await project.addBalances(await project.addChain("slow", proxy.url), [
      evmAddress(1),
    ]);
    const met = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    proxy.behave(async ({ forward }) => {
      met.resolve();
      await gate.promise;
      return await forward();
    });

    const response = await project.handler()(post({}, { accept: "application/x-ndjson" }));
    const lines = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes('"recorded"')) text += (await lines.read()).value;
    await met.promise;
    assertEquals((await project.balance(fast!)).sync_count, 1);
    assertEquals((await project.balance(slow!)).sync_count, 0);

    gate.resolve();
    for (let read = await lines.read(); !read.done; read = await lines.read()) text += read.value;
    assertEquals((await project.balance(slow!)).sync_count, 1);
    const summary = JSON.parse(text.trimEnd().split("\n").at(-1)!);
    assertAccounted(summary);
    assertEquals(summary.recorded, 2);
  },

  async "at the deadline unread rows go back untouched, the answer comes, and the next run reads them"(
    { project, node, proxy },
  ) {
    const [fast] = await project.addBalances(await project.addChain("fast", node.url), [
      evmAddress(1),
    ]);
    const [slow] = await project.addBalances(await project.addChain("slow", proxy.url), [
      evmAddress(1),
    ]);
    proxy.behave(hang);

    const summary = await summaryOf(await project.handler({ deadlineMs: 700 })(post()));
    assertEquals([summary.recorded, summary.released, summary.stopped_because], [1, 1, "deadline"]);
    assertEquals([summary.failed, summary.chains.flatMap(({ errors }) => Object.keys(errors))], [
      0,
      [],
    ]);
    assertGreater(summary.duration_ms, 600);
    assertLess(summary.duration_ms, 3000);
    assertEquals((await project.balance(fast!)).sync_count, 1);
    const { processing_status, error_count, last_error } = await project.balance(slow!);
    assertEquals([processing_status, error_count, last_error], ["idle", 0, null]);

    proxy.behave();
    const next = await summaryOf(await project.handler()(post()));
    assertEquals([next.recorded, next.stopped_because], [1, "drained"]);
  },

  async "an isolate about to end gives back what it has not read"({ project, proxy }) {
    const [id] = await project.addBalances(await project.addChain("ethereum", proxy.url), [
      evmAddress(1),
    ]);
    const unload = new AbortController();
    proxy.behave((exchange) => {
      unload.abort();
      return hang(exchange);
    });
    const summary = await summaryOf(await project.handler({}, unload.signal)(post()));
    assertEquals([summary.released, summary.stopped_because], [1, "deadline"]);
    assertEquals((await project.balance(id!)).locked_by, null);
  },

  async "the platform's warning reaches a run that index.ts has started"({ project, proxy }) {
    const [id] = await project.addBalances(
      await project.addChain("ethereum", proxy.url),
      [evmAddress(1)],
    );
    proxy.behave((exchange) => {
      dispatchEvent(new CustomEvent("beforeunload", { detail: "wall_clock" }));
      return hang(exchange);
    });
    const { serve } = Deno;
    let handler: Handler | undefined;
    Object.assign(Deno, { serve: (given: Handler) => handler = given });
    for (const [name, value] of Object.entries(project.env)) Deno.env.set(name, value);
    try {
      await import("../../functions/balance-sync/index.ts");
    } finally {
      Object.assign(Deno, { serve });
      for (const name of Object.keys(project.env)) Deno.env.delete(name);
    }
    const summary = await summaryOf(await handler!(post()));
    assertEquals([summary.released, summary.stopped_because], [1, "deadline"]);
    assertEquals((await project.balance(id!)).locked_by, null);
  },

  async "reading ends inside a short lease, and the rows go back before it runs out"(
    { project, proxy },
  ) {
    await project.addBalances(await project.addChain("ethereum", proxy.url), [evmAddress(1)]);
    proxy.behave(hang);
    const handler = project.handler({ lockSeconds: 1 });
    const summary = await summaryOf(await handler(post({ max_batches: 1 })));
    assertEquals([summary.released, summary.lost], [1, 0]);
    assertLess(summary.duration_ms, 1000);
  },

  async "a chain that is down costs its rows no error and the others nothing"(
    { project, node, proxy },
  ) {
    const [alive] = await project.addBalances(await project.addChain("alive", node.url), [
      evmAddress(1),
    ]);
    const [dead] = await project.addBalances(await project.addChain("dead", proxy.url), [
      evmAddress(1),
    ]);
    proxy.behave(() => new Response("maintenance", { status: 401 }));

    const summary = await summaryOf(await project.handler()(post()));
    assertEquals([summary.recorded, summary.failed, summary.stopped_because], [1, 1, "drained"]);
    assertEquals((await project.balance(alive!)).sync_count, 1);
    const { error_count, last_error } = await project.balance(dead!);
    assertEquals([error_count, last_error?.split(":")[0]], [0, "rpc_unauthorized"]);
    const health = await project.handler()(
      new Request("http://localhost/health", { headers: { apikey: "sb_secret_function_tests" } }),
    );
    assertEquals(health.status, 503);
    assertEquals((await health.json()).reasons.length, 1);
  },
});

/** Waits for the only run of the ledger to end. */
async function ended(project: Project): Promise<void> {
  for (;;) {
    const [run] = await project.sql("select ended_at from balance_sync.runs");
    if (run?.ended_at) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
