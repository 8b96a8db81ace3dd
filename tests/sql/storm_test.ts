/** Everything at once, for a while: nobody waits in a circle and nothing is lost. */
import { assertEquals } from "@std/assert";
import postgres from "postgres";
import { addBalances, type Claim, claim, idsOf, record } from "./balances.ts";
import { onPostgres, type TestDatabase } from "./on_postgres.ts";

const down = { error: { code: "rpc_unreachable", message: "no answer", scope: "chain" } };
const reverted = { error: { code: "call_reverted", message: "reverted" } };

/**
 * What else happens to a project's tables while its balances are synced, one transaction each. Of
 * updates of many balances the kind that goes through the table from end to end is here; one that
 * takes them in an order of its own can meet a record in a circle, and Postgres then ends one of both.
 */
const world = [
  "update chains set is_active = not is_active where name = 'chain_1'",
  "update chains set is_active = true",
  "update asset_on_chain set is_active = not is_active where chain_id = md5('chain2')::uuid",
  "update asset_on_chain set is_active = true",
  "update user_wallet_addresses set is_active = not is_active where wallet_id = md5('wallet7')::uuid",
  "update user_wallet_addresses set is_active = true where not is_active",
  "update chains set rpc_url = 'http://127.0.0.1:2'",
  "update wallet_balances set needs_gas = true where wallet_id = md5('wallet5')::uuid",
  "update wallet_balances set needs_gas = not needs_gas",
  "update wallet_balances set wallet_id = md5('wallet9')::uuid where wallet_id = md5('wallet8')::uuid",
  "update wallet_balances set wallet_id = md5('wallet8')::uuid where wallet_id = md5('wallet9')::uuid",
  "update asset_on_chain set chain_id = md5('chain2')::uuid where id = md5('asset on chain3')::uuid",
  "update asset_on_chain set chain_id = md5('chain3')::uuid where id = md5('asset on chain3')::uuid",
  "select balance_sync_status()",
  "select balance_sync.dispatch()",
  "update wallet_balances set next_sync_at = now() where next_sync_at > now() and locked_until is null",
  "update balance_sync.chain_state set out_until = now() where out_since is not null",
];

onPostgres("storm", {
  async "workers, outages, menders and other workers never wait in a circle"(database) {
    const owner = database.connect();
    await addBalances(owner, { rows: 200, chains: 3 });
    const until = performance.now() + 6_000;
    const failures: string[] = [];
    const keepOn = async (work: () => Promise<unknown>) => {
      while (performance.now() < until) {
        try {
          await work();
        } catch (error) {
          if (!(error instanceof postgres.PostgresError)) throw error;
          failures.push(`${error.code} ${error.message} ${error.where ?? ""}`);
        }
      }
    };
    await Promise.all([
      ...Array.from({ length: 8 }, (_, n) => keepOn(worker(database, n))),
      keepOn(bystander(database)),
    ]);
    assertEquals(failures, []);
    assertEquals(await stuckRows(owner), 0);
  },
});

/** Claims, then records values, errors or an outage, or gives the rows back; half of it twice. */
function worker(database: TestDatabase, n: number): () => Promise<void> {
  const sql = database.connect("service");
  let turn = n;
  return async () => {
    const claimed: Claim = await claim(sql, `worker ${n}`, 40);
    if (claimed.claim_id === null) return;
    turn++;
    const block = `${turn}`;
    const answers = [{ raw: block, block }, reverted, { raw: "1", block }, down, {
      raw: "2",
      block,
    }];
    // half of the workers meet the rows in another order than the claim's
    if (n % 2 === 1) claimed.chains.reverse().forEach(({ balances }) => balances.reverse());
    if (turn % 7 === 0) {
      await sql`select release_wallet_balances(${claimed.claim_id}, ${idsOf(claimed)})`;
    } else {
      await record(sql, claimed, answers[turn % answers.length]!);
      if (turn % 2 === 0) await record(sql, claimed, answers[0]!);
    }
  };
}

function bystander(database: TestDatabase): () => Promise<void> {
  const sql = database.connect();
  let turn = 0;
  return async () => {
    await sql.unsafe(world[turn++ % world.length]!);
  };
}

/** Rows that would never come again: not parked, not leased, and not handed out when their time comes. */
async function stuckRows(owner: postgres.Sql): Promise<number> {
  await owner`update chains set is_active = true`;
  await owner`update asset_on_chain set is_active = true`;
  await owner`update user_wallet_addresses set is_active = true`;
  await owner`update balance_sync.chain_state set out_since = null, out_until = null, probe_claim_id = null`;
  await owner`update wallet_balances set locked_until = now() where locked_until is not null`;
  for (;;) {
    await owner`update wallet_balances set next_sync_at = now() where next_sync_at is not null and locked_until <= now() is not false`;
    const claimed = await claim(owner, "heir", 500);
    const [left] = await owner`select count(*)::integer as count from balance_sync.unparking`;
    if (claimed.claim_id === null && left!.count === 0) break;
  }
  const [stuck] = await owner`
    select count(*)::integer as count
    from wallet_balances as b
    where locked_until is null
      and (select count(distinct a.address) from user_wallet_addresses as a
           join asset_on_chain as o on o.chain_id = a.chain_id and o.id = b.asset_on_chain_id
           where a.wallet_id = b.wallet_id) = 1`;
  return stuck!.count;
}
