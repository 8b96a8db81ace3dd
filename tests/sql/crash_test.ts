/** The server dies between a claim and its record: what was recorded stays, a lease may be gone. */
import { assert, assertEquals } from "@std/assert";
import type postgres from "postgres";
import { addBalances, claim, record } from "./balances.ts";
import { onPostgres } from "./on_postgres.ts";

onPostgres("a crash of the server", {
  async "a record waits for the disk and a claim does not"(database) {
    const sql = database.connect("service");
    await addBalances(database.connect(), { rows: 4 });
    const setting = async () =>
      (await sql<[{ value: string }]>`
        select current_setting('synchronous_commit') as value`)[0].value;
    await sql`begin`;
    const claimed = await claim(sql, "worker");
    assertEquals(await setting(), "off");
    await sql`commit`;
    assertEquals(await setting(), "on");
    await sql`begin`;
    assertEquals((await record(sql, claimed)).recorded, 4);
    assertEquals(await setting(), "on");
    await sql`commit`;
  },

  async "keeps every recorded balance, and a lease as a whole or not at all"(database) {
    await addBalances(database.connect(), { rows: 40 });
    const service = database.connect("service");
    const before = await claim(service, "before", 20);
    assertEquals((await record(service, before, { raw: "7", block: "7" })).recorded, 20);
    const unrecorded = await claim(service, "during", 20);

    await crash(database.connect("admin"));
    const sql = database.connect("service");
    await untilRecovered(sql);

    const [kept] = await sql`
      select
        count(*) filter (where on_chain_balance_raw = '7' and sync_count = 1)::integer as recorded,
        count(*) filter (where locked_by like 'during:%')::integer as leased
      from wallet_balances`;
    assertEquals(kept!.recorded, 20);
    assert(kept!.leased === 0 || kept!.leased === 20, `${kept!.leased} of 20 rows are leased`);

    const late = await record(sql, unrecorded, { raw: "8", block: "8" });
    assertEquals([late.recorded, late.lost.length], [kept!.leased, 20 - kept!.leased]);
    const heir = await claim(sql, "heir", 40);
    assertEquals(heir.claimed, late.lost.length, "whatever was lost is due");
    assertEquals(
      (await record(sql, heir, { raw: "9", block: "9" })).recorded,
      heir.claimed,
    );
    const [rows] = await sql`
      select count(*) filter (where sync_count = 1 and locked_by is null)::integer as once
      from wallet_balances`;
    assertEquals(rows!.once, 40);
  },
}, { settings: { synchronous_commit: "on" } });

/** A backend that is killed takes the others and the unwritten log with it; recovery follows. */
async function crash(admin: postgres.Sql): Promise<void> {
  const [backend] = await admin<[{ pid: number }]>`select pg_backend_pid() as pid`;
  Deno.kill(backend.pid, "SIGKILL");
}

async function untilRecovered(sql: postgres.Sql): Promise<void> {
  const until = Date.now() + 60_000;
  for (;;) {
    try {
      await sql`select from wallet_balances limit 1`;
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
}
