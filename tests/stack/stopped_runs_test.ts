/** Runs that are stopped in the middle, in a real process of the function. */
import { assertEquals } from "@std/assert";
import { startEvmNode } from "../../local/evm_node.ts";
import { type Stack, startStack } from "../../local/stack.ts";
import { failures, startProxy } from "../chains/proxy.ts";
import { addBacklog, dispatch, untilRuns } from "./backlog.ts";

const rows = 10;

Deno.test("a run that meets its deadline gives back what it did not read, and the next tick goes on", async () => {
  const entrypoint = new URL("short_deadline.ts", import.meta.url);
  await using stack = await startStack({ entrypoint });
  await using chains = await startChains(stack);

  assertEquals(await dispatch(stack.sql), 1);
  await untilRuns(stack.sql, "bool_and(ended_at is not null)");
  assertEquals(await ledger(stack), [{
    stopped_because: "deadline",
    recorded: rows,
    released: rows,
  }]);
  assertEquals(await unsynced(stack), { rows, due: rows, leased: 0, failed: 0 });

  const response = await fetch(stack.functionUrl, {
    method: "POST",
    headers: { apikey: stack.secretKey },
  });
  const { stopped_because, claimed, released } = await response.json();
  assertEquals({ status: response.status, stopped_because, claimed, released }, {
    status: 200,
    stopped_because: "deadline",
    claimed: rows,
    released: rows,
  });

  chains.wake();
  assertEquals(await dispatch(stack.sql), 1);
  await untilRuns(stack.sql, "bool_and(ended_at is not null) and count(*) = 3");
  assertEquals((await ledger(stack)).at(-1), {
    stopped_because: "drained",
    recorded: rows,
    released: 0,
  });
  assertEquals(await unsynced(stack), { rows: 0, due: 0, leased: 0, failed: 0 });
});

Deno.test("a run whose isolate is about to end gives back what it did not read", async () => {
  const unload = Promise.withResolvers<void>();
  await using door = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
    await unload.promise;
    return new Response();
  });
  await using stack = await startStack({
    entrypoint: new URL("unloaded.ts", import.meta.url),
    env: { UNLOAD_WHEN_ANSWERED: `http://127.0.0.1:${door.addr.port}` },
  });
  await using _chains = await startChains(stack);

  assertEquals(await dispatch(stack.sql), 1);
  await untilRuns(stack.sql, `sum(recorded) = ${rows}`);
  assertEquals(await unsynced(stack), { rows, due: rows, leased: rows, failed: 0 });
  unload.resolve();
  await untilRuns(stack.sql, "bool_and(ended_at is not null)");
  assertEquals(await ledger(stack), [{
    stopped_because: "deadline",
    recorded: rows,
    released: rows,
  }]);
  assertEquals(await unsynced(stack), { rows, due: rows, leased: 0, failed: 0 });
  assertEquals(await dispatch(stack.sql), 1);
});

/** One chain that answers and one that is deaf until it wakes, ten due rows each. */
async function startChains({ sql }: Stack): Promise<AsyncDisposable & { wake(): void }> {
  await using parts = new AsyncDisposableStack();
  const node = parts.use(await startEvmNode({ chainId: 56 }));
  const deaf = parts.use(await startProxy(node.url));
  deaf.behave(failures.hang);
  for (const rpcUrl of [node.url, deaf.url]) await addBacklog({ sql, node, rpcUrl, rows });
  // what is synced is not due again before the test ends
  await sql("update balance_sync.settings set sync_interval_seconds = 3600");
  const running = parts.move();
  return {
    wake: () => deaf.behave(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function ledger({ sql }: Stack): Promise<unknown[]> {
  return await sql(
    `select stopped_because, recorded::integer, released::integer
     from balance_sync.runs order by coalesce(queued_at, started_at)`,
  );
}

async function unsynced({ sql }: Stack): Promise<unknown> {
  const [counts] = await sql(
    `select
       count(*)::integer as rows,
       count(*) filter (where next_sync_at <= now())::integer as due,
       count(*) filter (where locked_until > now() or processing_status <> 'idle')::integer as leased,
       count(*) filter (where error_count > 0 or last_error is not null)::integer as failed
     from public.wallet_balances where sync_count = 0`,
  );
  return counts;
}
