import { assert, assertEquals, assertMatch } from "@std/assert";
import type postgres from "postgres";
import { onPostgres, type TestDatabase } from "./on_postgres.ts";

/** A mistake, what diagnose() calls it, and what an operator fills in where a remedy leaves a gap. */
interface Mistake {
  provoke: string;
  found: string[];
  fill?: string;
  /** Part of the detail. */
  says?: RegExp;
  affected?: number;
  /** Where the remedy is a command: what it does. */
  command?: string;
  /** Done as the superuser, who alone may write the tables of pg_cron and Vault. */
  asAdmin?: true;
}

const id = (n: number | string) => `00000000-0000-0000-0000-${String(n).padStart(12, "0")}`;
const evm = (n: number) => `0x${n.toString(16).padStart(40, "0")}`;

const [bsc, polygon, tron] = [id(1), id(2), id(3)];
const [bnb, usdt, pol, trx] = [id(11), id(12), id(13), id(14)];
const [wallet, balance] = [id(21), id(31)];

/** A project at work: three chains, every row with an address, secrets and job in place. */
const healthy = `
  insert into chains (id, name, rpc_url) values
    ('${bsc}', 'bsc', 'https://127.0.0.1:9/key'), ('${polygon}', 'polygon', 'http://127.0.0.1:9'), ('${tron}', 'tron', 'http://127.0.0.1:9');
  insert into assets (id) values ('${id(4)}');
  insert into asset_on_chain (id, chain_id, asset_id, contract_address, decimals, is_native) values
    ('${bnb}', '${bsc}', '${id(4)}', null, 18, true),
    ('${usdt}', '${bsc}', '${id(4)}', '${evm(0xabcdef)}', 18, false),
    ('${pol}', '${polygon}', '${id(4)}', null, 18, true),
    ('${trx}', '${tron}', '${id(4)}', null, 6, true);
  insert into user_wallet_addresses (wallet_id, chain_id, address) values
    ('${wallet}', '${bsc}', '${evm(0xa1)}'), ('${wallet}', '${polygon}', '${evm(0xa1)}'),
    ('${wallet}', '${tron}', 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t');
  insert into wallet_balances (id, wallet_id, asset_on_chain_id) values
    ('${balance}', '${wallet}', '${bnb}'), ('${id(32)}', '${wallet}', '${usdt}'),
    ('${id(33)}', '${wallet}', '${pol}'), ('${id(34)}', '${wallet}', '${trx}');
  select vault.create_secret('http://127.0.0.1:9/functions/v1/balance-sync', 'balance_sync_url');
  select vault.create_secret('secret', 'balance_sync_secret');
  select balance_sync.schedule();
`;

const failedRun = (error: string) => `
  update vault.secrets set updated_at = now() - interval '1 day';
  insert into balance_sync.runs (worker_id, queued_at, ended_at, stopped_because, error) values
    ('1', now() - interval '9 minutes', now(), 'drained', null),
    ('2', now() - interval '8 minutes', now(), 'not_accepted', '${error}'),
    ('3', now() - interval '7 minutes', now(), 'not_accepted', '${error}');
`;

const mistakes: Record<string, Mistake> = {
  "a dropped table": {
    provoke: "drop table asset_on_chain cascade",
    found: ["missing_table", "address_source_broken"],
    says: /expected table public\.asset_on_chain, found none/,
  },
  "a dropped column": {
    provoke: "alter table wallet_balances drop column last_error",
    found: ["missing_column"],
    says: /expected column public\.wallet_balances\.last_error of type text, found none/,
  },
  "a dropped column of ours": {
    provoke: "alter table wallet_balances drop column on_chain_block",
    found: ["missing_column"],
  },
  "a column that rounds": {
    provoke:
      "alter table wallet_balances alter column on_chain_balance_human type double precision",
    found: ["mistyped_column"],
    says: /of type numeric, found double precision: balances are rounded/,
  },
  "a column that ends too soon": {
    provoke: "alter table wallet_balances alter column sync_count type smallint",
    found: ["mistyped_column"],
  },
  "a number with too few digits": {
    provoke: "alter table wallet_balances alter column on_chain_balance_human type numeric(20, 8)",
    found: ["mistyped_column"],
  },
  "times without a zone": {
    provoke: "alter table wallet_balances alter column locked_until type timestamp",
    found: ["mistyped_column"],
  },
  "a column that is too short": {
    provoke: "alter table wallet_balances alter column locked_by type varchar(20)",
    found: ["mistyped_column"],
    says: /of type text, found character varying\(20\)/,
  },
  "a status without a word for what we do": {
    provoke: `
      create type half as enum ('idle');
      alter table wallet_balances alter column processing_status drop default, alter column processing_status type half using 'idle'`,
    found: ["mistyped_column"],
  },
  "dropped views": {
    provoke: "drop view balance_sync.wallet_addresses cascade",
    found: ["address_source_broken"],
  },
  "an address table that is gone": {
    provoke: "drop table user_wallet_addresses cascade",
    found: ["address_source_broken"],
    fill: evm(0xa1),
  },
  "a dropped index of the queue": {
    provoke: "drop index wallet_balances_due",
    found: ["missing_index"],
    says: /wallet_balances_due on public\.wallet_balances \(sync_lane, next_sync_at\)/,
  },
  "a dropped index of the addresses": {
    provoke: "drop index user_wallet_addresses_wallet_id_chain_id",
    found: ["missing_index"],
  },
  "a dropped trigger": {
    provoke: "drop trigger balance_sync_chains_updated on chains",
    found: ["missing_trigger"],
  },
  "a disabled trigger": {
    provoke: "alter table wallet_balances disable trigger user",
    found: ["missing_trigger"],
    says: /found it disabled/,
  },
  "dropped triggers of the addresses": {
    provoke: "drop trigger balance_sync_addresses_deleted on user_wallet_addresses",
    found: ["missing_trigger"],
  },
  "a revoked column": {
    provoke: "revoke update (locked_by) on wallet_balances from balance_sync_worker",
    found: ["worker_lacks_privilege"],
    says: /update on public\.wallet_balances\.locked_by/,
  },
  "revoked tables and views": {
    provoke: `
      revoke select on chains from balance_sync_worker;
      revoke select on balance_sync.targets from balance_sync_worker`,
    found: ["worker_lacks_privilege", "worker_lacks_privilege"],
  },
  "a dropped policy": {
    provoke: "drop policy balance_sync_worker_writes on wallet_balances",
    found: ["rls_hides_rows"],
    says: /lets balance_sync_worker update public\.wallet_balances/,
  },
  "a policy that forbids": {
    provoke: `
      create policy "mine alone" on user_wallet_addresses as restrictive for select using (wallet_id is null)`,
    found: ["rls_hides_rows"],
    says: /user_wallet_addresses, found "mine alone": rows it hides are not synced/,
  },
  "a function open to the world": {
    provoke: "grant execute on function claim_wallet_balances to anon",
    found: ["exposed_function"],
    says: /found anon may/,
  },
  "a function closed to the worker": {
    provoke: "revoke execute on function balance_sync_status() from service_role",
    found: ["function_not_callable"],
  },
  "no extension for the schedule": {
    asAdmin: true,
    provoke: "alter schema cron rename to chron",
    found: ["missing_extension"],
    command: "alter schema chron rename to cron",
  },
  "an extension that is too old": {
    asAdmin: true,
    provoke: `
      set allow_system_table_mods = on;
      insert into pg_extension values (99999, 'pg_cron', 10, 11, false, '1.4-1', null, null)`,
    found: ["old_extension"],
    says: /expected pg_cron 1\.5 or newer, found 1\.4-1: it knows no seconds/,
    command: `
      set allow_system_table_mods = on;
      update pg_extension set extversion = '1.6' where extname = 'pg_cron'`,
  },
  "a missing job": {
    provoke: "select balance_sync.unschedule()",
    found: ["job_missing"],
  },
  "a paused job": {
    provoke:
      "select cron.alter_job(jobid, active := false) from cron.job where jobname = 'balance-sync'",
    found: ["job_paused"],
  },
  "a failing job": {
    asAdmin: true,
    provoke: `
      set role postgres;
      select cron.alter_job(jobid, command := 'select balance_sync.despatch()') from cron.job where jobname = 'balance-sync';
      reset role;
      insert into cron.job_run_details (jobid, command, status, return_message)
        select jobid, command, s, 'ERROR: no such function' from cron.job, unnest(array['succeeded', 'failed', 'failed']) as s
        where jobname = 'balance-sync'`,
    found: ["job_failing"],
    affected: 2,
    says: /failed at its last 2 runs: ERROR: no such function/,
  },
  "no URL in Vault": {
    provoke: "delete from vault.secrets where name = 'balance_sync_url'",
    found: ["vault_secret_missing"],
    fill: "http://127.0.0.1:9/functions/v1/balance-sync",
  },
  "no secret in Vault": {
    provoke: "delete from vault.secrets where name = 'balance_sync_secret'",
    found: ["vault_secret_missing"],
    fill: "secret",
  },
  "a URL in Vault that is none": {
    provoke:
      "select vault.update_secret(id, 'balance-sync') from vault.secrets where name = 'balance_sync_url'",
    found: ["vault_url_unusable"],
    fill: "http://127.0.0.1:9/functions/v1/balance-sync",
  },
  "a header's secret that is not in Vault": {
    provoke:
      `insert into balance_sync.chain_settings (chain_id, rpc_headers) values ('${bsc}', '{"x-key": "vault:bsc key"}')`,
    found: ["vault_secret_missing"],
    fill: "key",
    says: /names the Vault secret bsc key, found none/,
  },
  "no parallel runs": {
    provoke: "update balance_sync.settings set max_parallel_runs = 0",
    found: ["dispatch_switched_off"],
  },
  "a function that refuses the secret": {
    asAdmin: true,
    provoke: failedRun("http_401"),
    found: ["function_refuses_secret"],
    fill: "secret",
    affected: 2,
  },
  "no function at the URL": {
    asAdmin: true,
    provoke: failedRun("no_answer: Could not resolve host"),
    found: ["function_unreachable"],
    fill: "http://127.0.0.1:9/functions/v1/balance-sync",
  },
  "a sender that sends nothing": {
    asAdmin: true,
    provoke: failedRun("not_sent"),
    found: ["pg_net_stalled"],
    command: "update balance_sync.runs set stopped_because = 'drained', error = null",
  },
  "runs that fail": {
    asAdmin: true,
    provoke: failedRun("http_500"),
    found: ["runs_fail"],
    command: "update balance_sync.runs set stopped_because = 'drained', error = null",
  },
  "a chain without a URL": {
    provoke: `update chains set rpc_url = '' where id = '${bsc}'`,
    found: ["chain_without_rpc_url"],
    fill: "http://127.0.0.1:9",
  },
  "a chain with something else for a URL": {
    provoke: `update chains set rpc_url = 'ws://secret' where id = '${bsc}'`,
    found: ["chain_without_rpc_url"],
    fill: "http://127.0.0.1:9",
    says: /of active chain bsc, found something else$/,
  },
  "an adapter nobody knows": {
    provoke:
      `insert into balance_sync.chain_settings (chain_id, adapter) values ('${bsc}', 'solana')`,
    found: ["unknown_adapter"],
  },
  "a chain that is out": {
    provoke: `
      insert into balance_sync.chain_state (chain_id, out_since, out_until, error)
      values ('${bsc}', now(), now() + interval '1 hour', 'rpc_timeout: endpoint 1 of 1')`,
    found: ["chain_out"],
  },
  "a chain that gives older blocks than those recorded": {
    provoke: `
      insert into balance_sync.chain_state (chain_id, last_block, stale_since)
      values ('${bsc}', 90000000, now() - interval '6 minutes')`,
    found: ["chain_behind_its_balances"],
    says: /blocks of chain bsc up to 90000000 or newer/,
  },
  "assets of no chain": {
    provoke: `
      alter table asset_on_chain drop constraint asset_on_chain_chain_id_fkey;
      update asset_on_chain set chain_id = '${id(99)}' where id = '${pol}'`,
    found: ["dangling_chain"],
    fill: polygon,
  },
  "a token without a contract": {
    provoke: `update asset_on_chain set contract_address = '' where id = '${usdt}'`,
    found: ["token_without_contract"],
    fill: evm(0xabcdef),
  },
  "decimals that are missing": {
    provoke: `update asset_on_chain set decimals = null where id = '${usdt}'`,
    found: ["decimals_out_of_range"],
    fill: "18",
  },
  "decimals out of range": {
    provoke: `update asset_on_chain set decimals = 78 where id = '${usdt}'`,
    found: ["decimals_out_of_range"],
    fill: "77",
  },
  "a contract of another family": {
    provoke:
      `update asset_on_chain set contract_address = 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t' where id = '${usdt}'`,
    found: ["contract_of_other_family"],
    fill: evm(0xabcdef),
  },
  "a pseudo-address for a contract": {
    provoke: `
      update asset_on_chain set is_native = false, contract_address = '0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE' where id = '${pol}'`,
    found: ["pseudo_contract"],
  },
  "a native asset and its token form": {
    provoke: `
      insert into asset_on_chain (id, chain_id, asset_id, contract_address, decimals)
      values ('${id(15)}', '${polygon}', '${
      id(4)
    }', '0x0000000000000000000000000000000000001010', 18)`,
    found: ["counted_twice"],
    affected: 2,
  },
  "a native asset with the contract of a token": {
    provoke: `update asset_on_chain set contract_address = '${
      evm(0xabcdef).toUpperCase().replace("X", "x")
    }' where id = '${bnb}'`,
    found: ["counted_twice"],
  },
  "one contract twice": {
    provoke: `
      insert into asset_on_chain (id, chain_id, asset_id, contract_address, decimals)
      values ('${id(15)}', '${bsc}', '${id(4)}', '${
      evm(0xabcdef).toUpperCase().replace("X", "x")
    }', 18)`,
    found: ["counted_twice"],
  },
  "balances of no asset": {
    provoke: `
      alter table wallet_balances drop constraint wallet_balances_asset_on_chain_id_fkey;
      update wallet_balances set asset_on_chain_id = '${id(99)}' where id = '${balance}'`,
    found: ["dangling_asset"],
    says: new RegExp(balance),
  },
  "a wallet without an address": {
    provoke: `delete from user_wallet_addresses where chain_id = '${tron}'`,
    found: ["address_missing"],
    fill: "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    says: /\(addresses come from "user_wallet_addresses"\)/,
  },
  "wallets of another source": {
    provoke: `
      create table wallets (id uuid primary key, address text);
      insert into wallets select gen_random_uuid(), address from user_wallet_addresses;
      insert into wallets values ('${id(22)}', '${evm(0xb1)}');
      delete from wallet_balances where asset_on_chain_id = '${trx}';
      update wallet_balances set wallet_id = '${id(22)}'`,
    found: ["address_missing"],
    affected: 3,
    says: /"wallets" has some for more rows/,
  },
  "a wallet whose address is on another chain": {
    provoke: `delete from user_wallet_addresses where chain_id = '${bsc}'`,
    found: ["address_on_other_chain"],
    affected: 2,
  },
  "a wallet whose address is inactive": {
    provoke: `update user_wallet_addresses set is_active = false where chain_id = '${bsc}'`,
    found: ["address_inactive"],
    affected: 2,
  },
  "two active addresses": {
    provoke:
      `insert into user_wallet_addresses (wallet_id, chain_id, address) values ('${wallet}', '${polygon}', '${
        evm(0xb2)
      }')`,
    found: ["ambiguous_address"],
    fill: evm(0xb2),
  },
  "one address twice": {
    provoke:
      `insert into user_wallet_addresses (wallet_id, chain_id, address) select wallet_id, chain_id, upper(replace(address, '0x', '')) from user_wallet_addresses where chain_id = '${polygon}';
       update user_wallet_addresses set address = '0x' || address where address not like '0x%' and chain_id = '${polygon}'`,
    found: ["duplicate_address"],
  },
  "an address of another family": {
    provoke: `update user_wallet_addresses set address = '${
      evm(1).slice(0, 40)
    }' where chain_id = '${polygon}'`,
    found: ["address_of_other_family"],
    fill: evm(0xa1),
    says: /expected an address as chain polygon writes them, found another/,
  },
  "rows parked for no reason": {
    provoke: "update wallet_balances set next_sync_at = null",
    found: ["parked_without_cause"],
    affected: 4,
  },
  "rows of an inactive chain": {
    provoke: `update chains set is_active = false where id = '${bsc}'`,
    found: ["chain_inactive"],
    affected: 2,
  },
  "rows of an inactive asset": {
    provoke: `update asset_on_chain set is_active = false where id = '${usdt}'`,
    found: ["asset_inactive"],
    affected: 1,
  },
  "leases that ran out": {
    provoke: `
      select claim_wallet_balances('w');
      update wallet_balances set locked_until = now() - interval '1 second'`,
    found: ["expired_lease"],
    affected: 4,
  },
  "a lease without an end": {
    provoke:
      `update wallet_balances set locked_until = 'infinity', locked_by = 'the old worker' where id = '${balance}'`,
    found: ["endless_lease"],
  },
  "rows nobody takes": {
    provoke: "update wallet_balances set next_sync_at = now() - interval '5 minutes 1 second'",
    found: ["overdue"],
    command: "update wallet_balances set next_sync_at = now()",
    says: /no run has ever finished/,
  },
  "rows that fail again and again": {
    provoke: `
      select claim_wallet_balances('w');
      update wallet_balances
      set processing_status = 'idle', locked_until = null, locked_by = null, consecutive_errors = 3,
        last_error = 'call_reverted: paused', last_error_at = now(), next_sync_at = now() + interval '2 minutes'
      where id = '${balance}'`,
    found: ["failing"],
    says: /rows fail with call_reverted/,
    command:
      "update wallet_balances set processing_status = 'idle', locked_until = null, locked_by = null where locked_by is not null",
  },
};

onPostgres("diagnose()", {
  async "a healthy database: nothing, before its first sync and after"({ connect }) {
    const sql = connect();
    await sql.unsafe(healthy).simple();
    assertEquals(await diagnose(sql), []);
    const [row] = await connect("service")`select claim_wallet_balances('w') as claim`;
    assertEquals(await diagnose(sql), [], "while rows are claimed");
    const results = row!.claim.chains.flatMap((chain: { balances: { id: string }[] }) =>
      chain.balances.map(({ id }) => ({ id, raw: "5", block: "7" }))
    );
    await sql`select record_wallet_balances(${row!.claim.claim_id}, ${sql.json(results)})`;
    assertEquals(await diagnose(sql), []);
  },

  async "an empty database: only what it takes to begin"({ connect }) {
    const found = await diagnose(connect());
    assertEquals(found.map(({ finding }) => finding), [
      "vault_secret_missing",
      "vault_secret_missing",
      "job_missing",
    ]);
  },

  ...Object.fromEntries(
    Object.entries(mistakes).map(([name, mistake]) => [
      `${name}: found, and gone with the remedy`,
      (database: TestDatabase) => mend(database, mistake),
    ]),
  ),

  async "other sources are mended in their own words"({ connect }) {
    const sql = connect();
    await sql.unsafe(healthy).simple();
    await sql.unsafe(`
      create table wallets (id uuid primary key, chain_id uuid, address text);
      delete from wallet_balances where asset_on_chain_id in ('${trx}', '${pol}');
      alter table wallet_balances add column address text;
    `).simple();
    const sources: [source: string, provoke: string, finding: string][] = [
      ["wallets", "delete from wallets", "address_missing"],
      ["wallets", `update wallets set chain_id = '${polygon}'`, "address_on_other_chain"],
      ["wallets", "update wallets set address = '0x1'", "address_of_other_family"],
      [
        "user_wallet_addresses_by_id",
        "delete from user_wallet_addresses",
        "address_missing",
      ],
      [
        "user_wallet_addresses_by_id",
        `update user_wallet_addresses set chain_id = '${polygon}'`,
        "address_on_other_chain",
      ],
      [
        "user_wallet_addresses_by_id",
        "update user_wallet_addresses set is_active = false",
        "address_inactive",
      ],
      ["wallet_balances", "update wallet_balances set address = null", "address_missing"],
      ["wallet_balances", "update wallet_balances set address = 'x'", "address_of_other_family"],
    ];
    for (const [source, provoke, finding] of sources) {
      await sql.unsafe(`
        truncate wallets, user_wallet_addresses;
        update wallet_balances set address = null;
        select balance_sync.use_address_source('${source}');
        ${
        source === "wallets"
          ? `insert into wallets values ('${wallet}', '${bsc}', '${evm(0xa1)}');`
          : source === "wallet_balances"
          ? `update wallet_balances set address = '${evm(0xa1)}';`
          : `insert into user_wallet_addresses (id, wallet_id, chain_id, address) values ('${wallet}', '${wallet}', '${bsc}', '${
            evm(0xa1)
          }');`
      }
      `).simple();
      assertEquals(await diagnose(sql), [], `${source}: ${finding}`);
      await sql.unsafe(provoke);
      const found = await diagnose(sql);
      assertEquals(found.map((one) => one.finding), [finding], source);
      await carryOut(sql, found[0]!.remedy, evm(0xa1));
      assertEquals(await diagnose(sql), [], `${source}: ${found[0]!.remedy}`);
    }
  },

  async "a part that cannot be examined says so, and the others are"({ connect }) {
    const sql = connect();
    await sql.unsafe(healthy).simple();
    await sql`drop table balance_sync.chain_state`;
    await sql`select balance_sync.unschedule()`;
    const found = await diagnose(sql);
    assert(found.some(({ finding }) => finding === "job_missing"));
    assert(found.some(({ finding }) => finding === "not_examined"));
  },

  async "of a large table a sample is examined, in a fraction of a second"({ connect }) {
    const sql = connect();
    await sql.unsafe(healthy).simple();
    await sql.unsafe(`
      create table made as select gen_random_uuid() as wallet_id from generate_series(1, 100000);
      insert into user_wallet_addresses (wallet_id, chain_id, address)
        select wallet_id, '${bsc}', '${evm(0xc1)}' from made;
      insert into wallet_balances (wallet_id, asset_on_chain_id, next_sync_at)
        select wallet_id, '${bnb}', case when random() < 0.5 then now() end from made;
      delete from user_wallet_addresses where random() < 0.1;
    `).simple();
    await sql`vacuum analyze`;
    const started = performance.now();
    const found = await diagnose(sql);
    const took = performance.now() - started;
    const missing = found.find(({ finding }) => finding === "address_missing")!;
    assertMatch(missing.detail, /found none .*\(of \d+ rows examined\)/);
    assert(Number(missing.affected) > 100 && Number(missing.affected) < 2000, missing.affected);
    assert(took < 3000, `${took} ms`);
  },

  async "the data API's roles cannot read it"({ connect }) {
    const [row] = await connect()`
      select bool_or(has_function_privilege(r, p.oid, 'execute')) as may
      from pg_proc as p, unnest(array['anon', 'authenticated', 'service_role']) as r
      where p.pronamespace = 'balance_sync'::regnamespace and p.proname like 'diagnose%'`;
    assertEquals(row!.may, false);
  },
});

interface Finding {
  finding: string;
  severity: string;
  detail: string;
  affected: string;
  remedy: string;
}

async function diagnose(sql: postgres.Sql): Promise<Finding[]> {
  return [...await sql<Finding[]>`select * from balance_sync.diagnose()`];
}

async function mend({ connect }: TestDatabase, mistake: Mistake): Promise<void> {
  const sql = connect();
  await sql.unsafe(healthy).simple();
  const wrongdoer = mistake.asAdmin ? connect("admin") : sql;
  await wrongdoer.unsafe(mistake.provoke).simple();

  const found = await diagnose(sql);
  assertEquals(found.map(({ finding }) => finding), mistake.found, JSON.stringify(found, null, 1));
  if (mistake.says) assertMatch(found.map(({ detail }) => detail).join("\n"), mistake.says);
  if (mistake.affected) assertEquals(Number(found[0]!.affected), mistake.affected);

  // one remedy may bring to light what the mistake hid
  for (let left = found, round = 1; left.length > 0; left = await diagnose(sql), round++) {
    assert(round <= 6, `not mended: ${JSON.stringify(left, null, 1)}`);
    for (const { remedy } of left) {
      if (mistake.command && round === 1) await wrongdoer.unsafe(mistake.command).simple();
      else await carryOut(sql, remedy, mistake.fill);
    }
  }
}

/** As an operator would: line by line, with the gaps filled in. */
async function carryOut(sql: postgres.Sql, remedy: string, fill = ""): Promise<void> {
  for (const line of remedy.split("\n")) {
    if (!line.startsWith("--")) {
      await sql.unsafe(line.replaceAll(/<[^<>]+>/g, fill)).simple();
    }
  }
}
