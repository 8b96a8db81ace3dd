/** The main job end to end: the demo's world, over HTTP, on PGlite and on a real Postgres. */
import { assert, assertEquals } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { findPostgres, startPostgres } from "../../local/postgres.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { startWorldChains, type WorldChain } from "../../local/world_chains.ts";
import { examineWorld } from "../../local/world_outcome.ts";
import { type SeededWorld, seedWorld } from "../../local/world_seed.ts";

Deno.test("the demo's world is synced on PGlite", (test) => syncWorld(test));

const binaries = await findPostgres();
const missing = "missing" in binaries ? ` (${binaries.missing})` : "";
Deno.test({
  name: `the demo's world is synced on a real Postgres${missing}`,
  ignore: missing !== "",
  async fn(test) {
    await using server = await startPostgres();
    await syncWorld(test, server.url);
  },
});

async function syncWorld(test: Deno.TestContext, databaseUrl?: string): Promise<void> {
  const log: string[] = [];
  const [stack, { chains, ...nodes }] = await Promise.all([
    startStack({ ...databaseUrl && { databaseUrl }, onLog: (line) => log.push(line) }),
    startWorldChains(),
  ]);
  await using _stack = stack;
  await using _nodes = nodes;
  const world = await seedWorld(stack.sql, chains);
  await stack.sql(
    `update public.wallet_balances
     set needs_gas = true, needs_consolidation = true, priority = 7,
         gas_locked_until = 'infinity', gas_locked_by = 'gas',
         consolidation_locked_until = 'infinity', consolidation_locked_by = 'consolidation'`,
  );

  for (const [name, check] of Object.entries(facts)) {
    await test.step({
      name,
      // the stack's workers tick all the while
      sanitizeOps: false,
      sanitizeResources: false,
      fn: () => check({ stack, chains, world, log }),
    });
  }
}

interface World {
  stack: Stack;
  chains: WorldChain[];
  world: SeededWorld;
  log: string[];
}

/** In this order, on one world. */
const facts: Record<string, (world: World) => Promise<void>> = {
  async "a run claims, reads and records every row that can be"({ stack }) {
    const summary = await sync(stack);
    assertEquals(summary.stopped_because, "drained");
    const { claimed, recorded, changed, failed, stale, lost, released } = summary;
    assertEquals(
      { claimed, recorded, changed, failed, stale, lost, released },
      { claimed: 14, recorded: 12, changed: 12, failed: 2, stale: 0, lost: 0, released: 0 },
    );
  },

  async "each row has what its chain holds, its own error, or nothing"({ stack, chains, world }) {
    const outcomes = await examineWorld(stack.sql, world.rows, chains);
    assertEquals(outcomes.flatMap(({ faults }) => faults), []);
    assertEquals(outcomes.map(({ chain, symbol, raw, human }) => [chain, symbol, raw, human]), [
      ["ethereum", "ETH", "1234567890123456789", "1.234567890123456789"],
      ["ethereum", "ETH", "0", "0"],
      ["ethereum", "USDT", "987654321", "987.654321"],
      ["ethereum", "USDT", "1", "0.000001"],
      ["ethereum", "DAI", "9007199254740993", "0.009007199254740993"],
      ["ethereum", "HALT", null, null],
      ["ethereum", "VOID", null, null],
      ["ethereum", "OLD", null, null],
      ["bsc", "BNB", "42000000000000000001", "42.000000000000000001"],
      ["bsc", "BNB", null, null],
      ["bsc", "USDC", "12500000000000000007", "12.500000000000000007"],
      ["bsc", "EURX", "73000001", "73.000001"],
      ["bsc", "SOON", null, null],
      ["tron", "TRX", "1500001", "1.500001"],
      ["tron", "TRX", "0", "0"],
      ["tron", "USDT", "3141592653", "3141.592653"],
      ["tron", "USDT", "9007199254740995", "9007199254.740995"],
      ["polygon", "POL", null, null],
    ]);
  },

  async "a balance that moved is the only change of the next run"({ stack, chains, world }) {
    const [row] = world.rows;
    await chains[0]!.node!.setBalance(row!.address!, 5n);
    await chains[0]!.node!.mine();
    await makeDue(stack);
    const { recorded, changed, failed } = await sync(stack);
    assertEquals({ recorded, changed, failed }, { recorded: 12, changed: 1, failed: 2 });
    const changes = await stack.sql(
      "select old_raw::text, new_raw::text from balance_sync.balance_changes where wallet_balance_id = $1 order by id",
      [row!.id],
    );
    assertEquals(changes, [
      { old_raw: null, new_raw: "1234567890123456789" },
      { old_raw: "1234567890123456789", new_raw: "5" },
    ]);
  },

  async "what the other workers own is as it was"({ stack, world }) {
    const untouched = await stack.sql(
      `select id from public.wallet_balances
       where needs_gas and needs_consolidation and priority = 7
         and gas_locked_until = 'infinity' and gas_locked_by = 'gas'
         and consolidation_locked_until = 'infinity' and consolidation_locked_by = 'consolidation'`,
    );
    assertEquals(untouched.length, world.rows.length);
  },

  async "a cron job's tick syncs what is due, through pg_net and back"({ stack }) {
    await makeDue(stack);
    await stack.sql("select balance_sync.schedule('1 second')");
    const ended =
      "select from balance_sync.runs where request_id is not null and ended_at is not null";
    for (let i = 0; i < 200 && (await stack.sql(ended)).length === 0; i++) await delay(50);
    await stack.sql("select balance_sync.unschedule()");

    const runs = await stack.sql(
      "select recorded::integer, failed::integer, stopped_because from balance_sync.runs where request_id is not null",
    );
    assertEquals(runs, [{ recorded: 12, failed: 2, stopped_because: "drained" }]);
    const answers = await stack.sql(
      `select p.status_code, p.timed_out
       from net._http_response as p join balance_sync.runs as r on r.request_id = p.id`,
    );
    assertEquals(answers, [{ status_code: 202, timed_out: false }]);
    const details = await stack.sql(
      "select distinct status from cron.job_run_details where command like '%dispatch%'",
    );
    assertEquals(details, [{ status: "succeeded" }]);
  },

  "no secret and no path of an RPC URL is in the log": ({ log, stack, chains }) => {
    assert(log.some((line) => line.includes("Balance sync run ended")));
    const secrets = [stack.secretKey, stack.syncSecret, ...chains.map(({ rpcUrl }) => rpcUrl)];
    for (const secret of secrets) assertEquals(log.filter((line) => line.includes(secret)), []);
    return Promise.resolve();
  },

  async "the world can be taken away again"({ stack, world }) {
    await world.remove();
    const [{ rows } = { rows: undefined }] = await stack.sql(
      `select (select count(*) from public.wallet_balances) + (select count(*) from public.chains)
            + (select count(*) from public.assets) + (select count(*) from public.user_wallet_addresses)
            = 0 as rows`,
    );
    assertEquals(rows, true);
  },
};

// deno-lint-ignore no-explicit-any
async function sync(stack: Stack): Promise<any> {
  const response = await fetch(stack.functionUrl, {
    method: "POST",
    headers: { "x-balance-sync-secret": stack.syncSecret },
  });
  assertEquals(response.status, 200);
  return await response.json();
}

async function makeDue({ sql }: Stack): Promise<void> {
  await sql(
    "update public.wallet_balances set next_sync_at = now() where next_sync_at is not null",
  );
}
