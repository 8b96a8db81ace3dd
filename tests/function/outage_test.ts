import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DatabaseError, openDatabase } from "../../functions/balance-sync/database.ts";
import { balanceSyncStatus } from "../../functions/balance-sync/wallet_balances.ts";
import { evmAddress, get, onProject, post, type Project, summaryOf } from "./project.ts";

const badGateway = () => new Response("<html>upstream 10.0.0.7 failed</html>", { status: 502 });
const sqlError = (code: string) =>
  Response.json({ code, message: "of the database", details: null, hint: null }, { status: 500 });

/** Answers the first `times` calls of an RPC like this; `carryOut` lets the database do them all the same. */
function spoil(
  project: Project,
  spoilt: string,
  { times, answer = badGateway, carryOut = false }: {
    times: number;
    answer?: () => Response;
    carryOut?: boolean;
  },
): void {
  let left = times;
  project.intercept = async (rpc, forward) => {
    if (rpc !== spoilt || left === 0) return undefined;
    left--;
    if (carryOut) await (await forward()).body?.cancel();
    return answer();
  };
}

async function addDue(project: Project, url: string, count = 3): Promise<string[]> {
  const chain = await project.addChain("ethereum", url);
  return await project.addBalances(chain, Array.from({ length: count }, (_, i) => evmAddress(i)));
}

function calls(project: Project, rpc: string): number {
  return project.trips.filter((trip) => trip === rpc).length;
}

onProject("when the database is in trouble", {
  async "a record that meets it is repeated, and written once"({ project, node }) {
    const [id] = await addDue(project, node.url);
    for (const answer of [badGateway, () => sqlError("57014"), () => sqlError("40P01")]) {
      await project.sql("update public.wallet_balances set next_sync_at = now(), sync_count = 0");
      project.trips.length = 0;
      spoil(project, "record_wallet_balances", { times: 1, answer });
      const summary = await summaryOf(await project.handler()(post()));
      assertEquals([summary.recorded, summary.stopped_because], [3, "drained"]);
      assertEquals(calls(project, "record_wallet_balances"), 2);
      assertEquals((await project.balance(id!)).sync_count, 1);
    }
  },

  async "a record whose answer is lost is written once, and its rows count as lost"(
    { project, node },
  ) {
    const ids = await addDue(project, node.url);
    const cutOff = () => new Response('{"recorded": 3, "fai', { status: 200 });
    for (const answer of [badGateway, cutOff]) {
      await project.sql("update public.wallet_balances set next_sync_at = now(), sync_count = 0");
      spoil(project, "record_wallet_balances", { times: 1, answer, carryOut: true });
      const summary = await summaryOf(await project.handler()(post()));
      assertEquals([summary.recorded, summary.lost, summary.stopped_because], [0, 3, "drained"]);
      for (const id of ids) assertEquals((await project.balance(id)).sync_count, 1);
    }
  },

  async "a record it refuses for good is not repeated, and the rows go back"({ project, node }) {
    const [id] = await addDue(project, node.url);
    for (const code of ["42501", "22023"]) {
      project.trips.length = 0;
      spoil(project, "record_wallet_balances", { times: 9, answer: () => sqlError(code) });
      const summary = await summaryOf(await project.handler()(post()));
      assertEquals([summary.recorded, summary.released, summary.lost], [0, 3, 0]);
      assertEquals([summary.stopped_because, summary.error?.code], ["error", "database_error"]);
      assertEquals(calls(project, "record_wallet_balances"), 1);
      assertEquals((await project.balance(id!)).processing_status, "idle");
    }
    const runs = await project.sql("select distinct stopped_because, error from balance_sync.runs");
    assertEquals(runs, [{ stopped_because: "error", error: "database_error" }]);
  },

  async "a record that never arrives ends the run, and its rows wait for their lease"(
    { project, node },
  ) {
    const [id] = await addDue(project, node.url);
    project.intercept = (rpc) =>
      Promise.resolve(rpc === "claim_wallet_balances" ? undefined : badGateway());
    const summary = await summaryOf(await project.handler()(post()));
    assertEquals([summary.recorded, summary.released, summary.lost], [0, 0, 3]);
    assertEquals([summary.stopped_because, summary.error?.code], ["error", "database_unavailable"]);
    assertEquals(calls(project, "record_wallet_balances"), 4);
    assertEquals(calls(project, "release_wallet_balances"), 1);
    assertEquals((await project.balance(id!)).processing_status, "processing");

    project.intercept = () => Promise.resolve(undefined);
    await project.sql("update public.wallet_balances set locked_until = now()");
    assertEquals((await summaryOf(await project.handler()(post()))).recorded, 3);
  },

  async "a first claim that fails is the caller's 503, and is not repeated"({ project, node }) {
    await addDue(project, node.url);
    for (const accept of ["application/json", "application/x-ndjson"]) {
      project.trips.length = 0;
      spoil(project, "claim_wallet_balances", { times: 1 });
      const response = await project.handler()(post({}, { accept }));
      const text = await response.text();
      assertEquals([response.status, JSON.parse(text).error.code], [503, "database_unavailable"]);
      assertEquals(text.includes("html") || text.includes("10.0.0.7"), false);
      assertEquals(project.trips, ["claim_wallet_balances"]);
    }
  },

  async "a later claim that fails ends the run with what was done"({ project, node }) {
    await addDue(project, node.url);
    let claims = 0;
    project.intercept = (rpc) =>
      Promise.resolve(
        rpc === "claim_wallet_balances" && ++claims === 2 ? badGateway() : undefined,
      );
    const summary = await summaryOf(await project.handler()(post({ batch_size: 2 })));
    assertEquals([summary.recorded, summary.lost, summary.stopped_because], [2, 0, "error"]);
  },

  async "a background run ends quietly, and the log says why"({ project, node, said }) {
    await addDue(project, node.url);
    spoil(project, "claim_wallet_balances", { times: 1 });
    const response = await project.handler()(post({}, { prefer: "respond-async" }));
    assertEquals(response.status, 202);
    await response.body?.cancel();
    while (said.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    assertEquals(JSON.parse(said[0]!).code, "database_unavailable");
  },

  async "rows deleted while they are read are lost, their neighbours recorded"(
    { project, node, proxy },
  ) {
    const ids = await addDue(project, proxy.url);
    proxy.behave(async ({ forward }) => {
      await project.sql("delete from public.wallet_balances where id = any ($1)", [
        ids.slice(0, 2),
      ]);
      return await forward();
    });
    const summary = await summaryOf(await project.handler()(post()));
    assertEquals([summary.recorded, summary.lost, summary.stopped_because], [1, 2, "drained"]);
    assertEquals((await project.balance(ids[2]!)).sync_count, 1);

    const [all] = await project.addBalances(
      await project.addChain("other", node.url),
      [evmAddress(1)],
    );
    await project.sql("update public.chains set rpc_url = $1", [proxy.url]);
    proxy.behave(async ({ forward }) => {
      await project.sql("delete from public.wallet_balances where id = $1", [all]);
      return await forward();
    });
    assertEquals((await summaryOf(await project.handler()(post()))).lost, 1);
  },

  async "a value that the table refuses is that row's error, and its neighbours are recorded"(
    { project, node, said },
  ) {
    const ids = await addDue(project, node.url, 7);
    await node.setBalance(evmAddress(3), 10n ** 21n);
    const refusals = {
      "alter column on_chain_balance_human type numeric(21, 18)":
        /numeric field overflow \(22003\)/,
      "add constraint small check (on_chain_balance_human < 1000)":
        /constraint "small" \((23514|SUP)\)/,
    };
    for (const [alter, reason] of Object.entries(refusals)) {
      said.length = 0;
      await project.sql(
        "update public.wallet_balances set next_sync_at = now(), sync_count = 0, error_count = 0",
      );
      await project.sql(`alter table public.wallet_balances ${alter}`);
      const summary = await summaryOf(await project.handler({ logLevel: "warn" })(post()));
      await project.sql(`alter table public.wallet_balances drop constraint if exists small`);
      await project.sql(
        "alter table public.wallet_balances alter column on_chain_balance_human type numeric",
      );
      assertEquals([summary.recorded, summary.failed, summary.lost], [6, 1, 0]);
      assertEquals([summary.chains[0]!.recorded, summary.chains[0]!.failed], [6, 1]);
      assertEquals(summary.chains[0]!.errors, { balance_refused: 1 });
      assertEquals(summary.stopped_because, "drained");
      for (const [n, id] of ids.entries()) {
        const { sync_count, error_count, on_chain_balance_raw } = await project.balance(id);
        assertEquals([sync_count, error_count], n === 3 ? [0, 1] : [1, 0]);
        assertEquals(on_chain_balance_raw, n === 3 ? null : "0");
      }
      const { last_error } = await project.balance(ids[3]!);
      assertMatch(last_error!, /^balance_refused: /);
      assertMatch(last_error!, reason);
      // what does not begin so is @supabase/lite's
      const lines = said.filter((line) => line.startsWith("{"));
      assertEquals(lines.map((line) => JSON.parse(line).message), ["Wallet balance was refused"]);
    }
  },

  async "a row that takes not even an error waits for its lease, and stops nobody"(
    { project, node },
  ) {
    const ids = await addDue(project, node.url, 5);
    await project.sql(
      `alter table public.wallet_balances add constraint untouched
       check (id <> '${ids[1]}' or (last_checked is null and last_error is null))`,
    );
    const summary = await summaryOf(await project.handler()(post()));
    await project.sql("alter table public.wallet_balances drop constraint untouched");
    assertEquals([summary.recorded, summary.failed, summary.lost], [4, 0, 1]);
    assertEquals([summary.released, summary.stopped_because], [0, "drained"]);
    const { sync_count, processing_status } = await project.balance(ids[1]!);
    assertEquals([sync_count, processing_status], [0, "processing"]);
  },

  async "rows that another run has taken over meanwhile are lost and not written"(
    { project, proxy },
  ) {
    const [id] = await addDue(project, proxy.url, 1);
    proxy.behave(async ({ forward }) => {
      await project.sql(
        "update public.wallet_balances set locked_by = 'other:' || gen_random_uuid()",
      );
      return await forward();
    });
    const summary = await summaryOf(await project.handler()(post()));
    assertEquals([summary.recorded, summary.lost], [0, 1]);
    assertEquals((await project.balance(id!)).on_chain_balance_raw, null);
  },

  async "a value of an older block than the stored one is stale and not written"(
    { project, node },
  ) {
    const [id] = await addDue(project, node.url, 1);
    await project.sql(
      "update public.wallet_balances set on_chain_block = 1e9, on_chain_balance_raw = '5'",
    );
    const summary = await summaryOf(await project.handler()(post()));
    assertEquals([summary.recorded, summary.stale], [0, 1]);
    assertEquals((await project.balance(id!)).on_chain_balance_raw, "5");
  },

  async "an answer that does not come is waited for no longer than the timeout"({ project }) {
    const gate = Promise.withResolvers<void>();
    project.intercept = async () => {
      await gate.promise;
      return undefined;
    };
    const database = openDatabase(project.url, "sb_secret_function_tests", { timeoutMs: 50 });
    const error = await assertRejects(() => balanceSyncStatus(database), DatabaseError);
    assertEquals([error.code, error.passing], ["unreachable", true]);
    gate.resolve();
  },

  async "a Data API that refuses the function's own key is its operator's problem"({ project }) {
    const response = await project.handler({ databaseKey: "sb_secret_of_yesterday" })(post());
    assertEquals(response.status, 500);
    assertEquals((await response.json()).error.code, "database_error");
    const health = await project.handler({ databaseKey: "sb_secret_of_yesterday" })(get("/health"));
    assertEquals(health.status, 503);
    await health.body?.cancel();
  },
});
