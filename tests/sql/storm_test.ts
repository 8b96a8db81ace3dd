/** Everything at once, for a while: nobody waits in a circle, and nothing is lost. */
import { assertEquals } from "@std/assert";
import postgres from "postgres";
import { addBalances, claim, idsOf, record } from "./balances.ts";
import { onPostgres, type TestDatabase } from "./on_postgres.ts";

const down = { error: { code: "rpc_unreachable", message: "no answer", scope: "chain" } };
const reverted = { error: { code: "call_reverted", message: "reverted" } };

/** What happens to a project's tables while its balances are synced, one transaction each. */
const usual = [
  "update chains set is_active = not is_active where name = 'chain_1'",
  "update chains set is_active = true",
  "update asset_on_chain set is_active = not is_active where chain_id = md5('chain2')::uuid",
  "update asset_on_chain set is_active = true",
  "update user_wallet_addresses set is_active = not is_active where wallet_id = md5('wallet7')::uuid",
  "update user_wallet_addresses set is_active = true where not is_active",
  "update chains set rpc_url = 'http://127.0.0.1:2'",
  "update wallet_balances set needs_gas = true where id = (select min(id::text)::uuid from wallet_balances)",
  "update wallet_balances set wallet_id = md5('wallet9')::uuid where id = (select max(id::text)::uuid from wallet_balances)",
  "update wallet_balances set wallet_id = md5('wallet8')::uuid where id = (select max(id::text)::uuid from wallet_balances)",
  "select balance_sync_status()",
  "select balance_sync.dispatch()",
  "update balance_sync.chain_state set out_until = now() where out_since is not null and chain_id = md5('chain1')::uuid",
  "update balance_sync.chain_state set out_until = now() where out_since is not null and chain_id = md5('chain2')::uuid",
  "update balance_sync.chain_state set out_until = now() where out_since is not null and chain_id = md5('chain3')::uuid",
];

/** These lock many balances, in an order that cannot be known. */
const rare = [
  "update wallet_balances set needs_gas = not needs_gas",
  "update wallet_balances set next_sync_at = now() where next_sync_at > now() and locked_until is null",
  "update asset_on_chain set chain_id = md5('chain2')::uuid where id = md5('asset on chain3')::uuid",
  "update asset_on_chain set chain_id = md5('chain3')::uuid where id = md5('asset on chain3')::uuid",
];

onPostgres("storm", {
  async "workers, outages, menders and writers of one row never wait in a circle"(database) {
    assertEquals(await storm(database, usual), []);
  },

  async "where an update of many rows meets a record in a circle, one of both is ended and may try again"(
    database,
  ) {
    const failures = await storm(database, rare.flatMap((statement) => [statement, ...usual]));
    assertEquals(failures.filter((failure) => !failure.startsWith("40P01")), []);
  },
});

/** Eight workers and a bystander for four seconds; what failed, after a check that nothing is lost. */
async function storm(database: TestDatabase, statements: string[]): Promise<string[]> {
  const owner = database.connect();
  await addBalances(owner, { rows: 200, chains: 3 });
  await owner`update balance_sync.settings set sync_interval_seconds = 0, backoff_base_seconds = 1`;
  const until = performance.now() + 4_000;
  const failures: string[] = [];
  const attempt = async (work: () => Promise<unknown>) => {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof postgres.PostgresError)) throw error;
      failures.push(`${error.code} ${error.message} ${error.where ?? ""}`);
      return false;
    }
  };

  let recorded = 0;
  const worker = async (n: number) => {
    const sql = database.connect("service");
    for (let turn = n; performance.now() < until; turn++) {
      const claimed = await claim(sql, `worker ${n}`, 40);
      if (claimed.claim_id === null) continue;
      // half of the workers have their results in another order than the claim's
      if (n % 2 === 1) claimed.chains.reverse().forEach(({ balances }) => balances.reverse());
      if (turn % 7 === 0) {
        const ids = idsOf(claimed);
        await attempt(() => sql`select release_wallet_balances(${claimed.claim_id}, ${ids})`);
        continue;
      }
      const block = `${turn}`;
      const results = [{ raw: block, block }, reverted, { raw: "1", block }, down];
      const recordOnce = () =>
        attempt(async () => {
          const answer = await record(sql, claimed, results[turn % results.length]);
          recorded += answer.recorded;
        });
      while (!await recordOnce());
      // the function repeats a record whose answer it did not hear
      if (turn % 2 === 0) await recordOnce();
    }
  };
  const bystander = async () => {
    const sql = database.connect();
    for (let turn = 0; performance.now() < until; turn++) {
      await attempt(() => sql.unsafe(statements[turn % statements.length]!));
    }
  };
  await Promise.all([bystander(), ...Array.from({ length: 8 }, (_, n) => worker(n))]);

  const [rows] = await owner`select sum(sync_count)::integer as synced from wallet_balances`;
  assertEquals(rows!.synced, recorded, "what was told is what was written");
  assertEquals(await neverHandedOut(owner), 0, "every row comes again");
  return failures;
}

/** With all that can be mended mended and every row's clock moved on: how many rows do not come. */
async function neverHandedOut(owner: postgres.Sql): Promise<number> {
  await owner`update chains set is_active = true`;
  await owner`update asset_on_chain set is_active = true`;
  await owner`update user_wallet_addresses set is_active = true`;
  await owner`
    update balance_sync.chain_state
    set out_since = null, out_until = null, outages = 0, probe_claim_id = null`;
  await owner`update wallet_balances set locked_until = now() where locked_until is not null`;
  for (;;) {
    await owner`
      update wallet_balances set next_sync_at = now()
      where next_sync_at > now() and (locked_until is null or locked_until <= now())`;
    const claimed = await claim(owner, "heir", 500);
    const [left] = await owner`select count(*)::integer as count from balance_sync.unparking`;
    if (claimed.claim_id === null && left!.count === 0) break;
  }
  const [rows] = await owner`
    select count(*)::integer as count from wallet_balances
    where locked_by is null or locked_by not like 'heir:%'`;
  return rows!.count;
}
