/** One row and the workers that meet at it, told in plain words. */
import postgres from "postgres";
import { addBalances, type Claim, claim, record, type Recorded } from "./balances.ts";
import type { TestDatabase } from "./on_postgres.ts";
import { openSessions } from "./sessions.ts";

export interface Stage {
  /**
   * Plays steps like "a claims" or "b releases for a" (what follows a colon is not read) and answers
   * the same steps with what came of each. A step that has to wait for another session is answered
   * "waits", and again, with its outcome, after the step that let it go on.
   */
  play(steps: string[]): Promise<string[]>;
  /** Makes the row due, idle and without history. */
  reset(): Promise<void>;
}

export async function openStage(database: TestDatabase): Promise<Stage> {
  const world = database.connect();
  await addBalances(world, { rows: 1 });
  await world`select balance_sync.deal_lanes(1)`;
  await world`
    create table ledger (wallet_balance_id uuid references wallet_balances (id) on delete cascade)`;
  const sessions = openSessions(database);
  /** The last claim of each worker that had the row. */
  const held = new Map<string, Claim>();

  return {
    async play(steps) {
      const said: string[] = [];
      const waiting: { step: string; line?: string }[] = [];
      for (const step of steps.map((line) => line.split(":")[0]!)) {
        const [name, verb, , owner = name] = step.split(" ") as [string, string, string?, string?];
        if (name === "row") {
          await sessions.settled();
          said.push(`row: ${await describe(world)}`);
        } else if (name === "the") {
          await endLease(world, step.endsWith("moment"));
          said.push(step);
        } else if (!said.includes(`${step}: waits`)) {
          const taken: typeof waiting[number] = { step };
          await sessions.turn(name, async (sql) => {
            const outcome = await act(sql, verb, name, owner, held);
            taken.line = outcome === undefined ? step : `${step}: ${outcome}`;
          });
          said.push(taken.line ?? `${step}: waits`);
          if (taken.line === undefined) waiting.push(taken);
        }
        // told after the step that let them go on, however fast they are
        await sessions.rest();
        while (waiting[0]?.line !== undefined) said.push(waiting.shift()!.line!);
      }
      await sessions.settled();
      return [...said, ...waiting.map(({ line }) => line!)];
    },
    async reset() {
      await world`
        update wallet_balances
        set next_sync_at = now(), locked_until = null, locked_by = null, processing_status = 'idle',
            on_chain_balance_raw = null, on_chain_block = null`;
      held.clear();
    },
  };
}

async function act(
  sql: postgres.Sql,
  verb: string,
  name: string,
  owner: string,
  held: Map<string, Claim>,
): Promise<string | void> {
  switch (verb) {
    case "begins":
      await sql`begin`;
      // now() is the moment of the first statement
      await sql`select now()`;
      return;
    case "commits":
      await sql`commit`;
      return;
    case "rolls":
      await sql`rollback`;
      return;
    case "claims": {
      const claimed = await claim(sql, name);
      if (claimed.claimed === 0) return "nothing";
      held.set(name, claimed);
      return "has it";
    }
    case "records": {
      const claimed = held.get(owner);
      return claimed ? await outcomeOf(record(sql, claimed)) : "nothing to record";
    }
    case "releases": {
      const [row] = await sql`
        select release_wallet_balances(${held.get(owner)!.claim_id}) as count`;
      return `${row!.count} ${row!.count === 1 ? "row" : "rows"}`;
    }
    case "sets":
      await sql`update wallet_balances set needs_gas = true`;
      return;
    case "refers":
      await sql`insert into ledger select id from wallet_balances`;
      return;
    case "points":
      await sql`update wallet_balances set wallet_id = gen_random_uuid()`;
      return;
    case "deletes":
      await sql`delete from wallet_balances`;
      return;
    default:
      throw new Error(`Cannot play: expected a known verb, found "${verb}"`);
  }
}

/** The one of the four that the row came to; "forgotten" if none of them is told. */
async function outcomeOf(recording: Promise<Recorded>): Promise<string> {
  try {
    const { recorded, failed, stale, lost } = await recording;
    const told = { recorded, failed, stale: stale.length, lost: lost.length };
    return Object.entries(told).filter(([, count]) => count > 0).map(([name]) => name).join() ||
      "forgotten";
  } catch (error) {
    if (error instanceof postgres.PostgresError && error.code === "22023") return "refused";
    throw error;
  }
}

/**
 * Moves the row's clock. A row that somebody has locked stays as it is: whoever locked it has judged
 * the lease already, and everybody else passes by or reads it after.
 */
async function endLease(world: postgres.Sql, inAMoment: boolean): Promise<void> {
  await world`
    update wallet_balances
    set locked_until = now() + ${inAMoment ? "1 millisecond" : "0"}::interval
    where id in (
      select id from wallet_balances where locked_until is not null for update skip locked
    )`;
}

async function describe(world: postgres.Sql): Promise<string> {
  const [row] = await world`
    select
      processing_status,
      split_part(locked_by, ':', 1) as owner,
      locked_until > clock_timestamp() as leased
    from wallet_balances`;
  if (!row) return "gone";
  if (row.processing_status === "idle" && row.owner === null) return "idle";
  return `${row.owner} ${row.leased ? "holds" : "held"} it`;
}
