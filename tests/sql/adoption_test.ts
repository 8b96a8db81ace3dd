import { assert, assertEquals, assertRejects } from "@std/assert";
import type postgres from "postgres";
import { applyMigrations, readMigrations } from "../../local/migrations.ts";
import { claim, record } from "./balances.ts";
import { onPostgres } from "./on_postgres.ts";
import { missingIn, shapeOf } from "./shape.ts";

const address = "0x" + "a1".repeat(20);

/** A schema somebody has, and how their rows find their addresses. */
interface Shape {
  /** Tables other than {@link referenceTables}. */
  tables: string;
  source: string;
  /** Rows of wallet `w`, whose balance row has the id `id`. */
  rows: string;
  /** What the doctor says of it; default: nothing. */
  findings?: string[];
}

/** Document 000 gives no other table; document 001 lists their columns. */
const referenceTables = `
  create table chains (id uuid primary key, name text, rpc_url text, is_active boolean);
  create table assets (id uuid primary key);
  create table asset_on_chain (
    id uuid primary key, chain_id uuid references chains (id), asset_id uuid references assets (id),
    contract_address text, decimals integer, is_native boolean, is_active boolean
  );
  insert into chains values ('${id(1)}', 'bsc', 'http://127.0.0.1:9', true);
  insert into assets values ('${id(2)}');
  insert into asset_on_chain values ('${id(3)}', '${id(1)}', '${
  id(2)
}', '0x' || repeat('ab', 20), 6, false, true);
`;

const addressTable = `
  create table user_wallet_addresses (
    id uuid primary key default gen_random_uuid(), wallet_id uuid, chain_id uuid references chains (id),
    address text, is_active boolean
  );
`;

/** Document 000, to the letter. */
const balanceTable = `
  CREATE TABLE wallet_balances (
    id UUID PRIMARY KEY,
    wallet_id UUID NOT NULL,  -- Reference to wallet (see note below)
    asset_on_chain_id UUID NOT NULL REFERENCES asset_on_chain(id),

    -- Balance fields (updated by worker)
    on_chain_balance_raw TEXT,
    on_chain_balance_human NUMERIC,

    -- Locking fields (managed by worker)
    processing_status TEXT DEFAULT 'idle',
    locked_until TIMESTAMPTZ,
    locked_by TEXT,

    -- Metadata fields (managed by worker)
    last_checked TIMESTAMPTZ,
    last_processed_at TIMESTAMPTZ,
    last_error TEXT,
    last_error_at TIMESTAMPTZ,
    sync_count INTEGER DEFAULT 0,
    error_count INTEGER DEFAULT 0,

    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
  );
`;

const addBalance = `
  insert into wallet_balances (id, wallet_id, asset_on_chain_id, on_chain_balance_raw, sync_count)
  values ('${id(9)}', '${id(4)}', '${id(3)}', '7', 3);
`;

const addAddress = `
  insert into user_wallet_addresses (wallet_id, chain_id, address, is_active)
  values ('${id(4)}', '${id(1)}', '${address}', true);
`;

const documentZero: Shape = {
  tables: addressTable + balanceTable,
  source: "user_wallet_addresses",
  rows: addAddress + addBalance,
};

const shapes: Record<string, Shape> = {
  "the table of document 000": documentZero,

  "the columns of document 001, with human as text and status as an enum": {
    tables: `
      create type processing as enum ('idle', 'processing');
      create table user_wallet_addresses (wallet_id uuid, chain_id uuid references chains (id), address text, is_active boolean);
      create table wallet_balances (
        id uuid primary key, wallet_id uuid, asset_on_chain_id uuid references asset_on_chain (id),
        on_chain_balance_raw text, on_chain_balance_human text, last_checked timestamptz,
        sync_count integer, error_count integer, last_error text, last_error_at timestamptz,
        processing_status processing, locked_until timestamptz, locked_by text
      );
    `,
    source: "user_wallet_addresses",
    rows: addAddress + addBalance,
  },

  "a table of wallets, one address for all chains": {
    tables: balanceTable + `
      create table wallets (id uuid primary key, address text);
      alter table wallet_balances add foreign key (wallet_id) references wallets (id);
    `,
    source: "wallets",
    rows: `insert into wallets values ('${id(4)}', '${address}');` + addBalance,
  },

  "a table of wallets on one chain each, beside one of addresses that are others'": {
    tables: addressTable + balanceTable +
      "create table wallets (id uuid primary key, chain_id uuid references chains (id), address varchar(42));",
    source: "wallets",
    rows: `
      insert into wallets values ('${id(4)}', '${id(1)}', '${address}');
      insert into user_wallet_addresses (wallet_id, chain_id, address, is_active)
      values ('${id(8)}', '${id(1)}', '${address.replaceAll("a1", "b2")}', true);
    ` + addBalance,
  },

  "the address in the balance row": {
    tables: balanceTable + "alter table wallet_balances add column address text;",
    source: "wallet_balances",
    rows: addBalance + `update wallet_balances set address = '${address}';`,
  },

  "wallet_id that is user_wallet_addresses.id": {
    tables: balanceTable + `
      create table user_wallet_addresses (id uuid primary key, chain_id uuid references chains (id), address text);
      alter table wallet_balances add constraint fk_wallet_balances_wallet
        foreign key (wallet_id) references user_wallet_addresses (id);
    `,
    source: "user_wallet_addresses_by_id",
    rows: `insert into user_wallet_addresses values ('${id(4)}', '${id(1)}', '${address}');` +
      addBalance,
  },

  "row level security and policies of the user's own": {
    tables: addressTable + balanceTable + `
      create table owners (user_name name, wallet_id uuid);
      alter table chains enable row level security;
      alter table asset_on_chain enable row level security;
      alter table user_wallet_addresses enable row level security;
      alter table wallet_balances enable row level security;
      alter table wallet_balances force row level security;
      create policy everybody_reads_chains on chains for select to authenticated using (is_active);
      create policy owners_read on wallet_balances for select to authenticated
        using (wallet_id in (select wallet_id from owners where user_name = current_user));
      create policy nobody_deletes on wallet_balances as restrictive for delete using (false);
      grant select on wallet_balances to authenticated;
      grant update (sync_count) on wallet_balances to anon;
    `,
    source: "user_wallet_addresses",
    rows: addAddress + addBalance,
  },

  "what else a table may have: defaults, checks, triggers, indexes, other names of types": {
    tables: addressTable + `
      create function touch() returns trigger language plpgsql as $$ begin new.touched := new.touched + 1; return new; end $$;
      create domain balance_text as varchar(100);
      create table wallet_balances (
        id uuid primary key default gen_random_uuid(), wallet_id uuid not null, asset_on_chain_id uuid not null references asset_on_chain (id),
        on_chain_balance_raw balance_text, on_chain_balance_human numeric check (on_chain_balance_human >= 0),
        processing_status varchar(20) not null default 'idle' check (processing_status in ('idle', 'processing')),
        locked_until timestamp, locked_by text, last_checked timestamp, last_processed_at timestamp,
        last_error text, last_error_at timestamp, sync_count bigint not null default 0, error_count bigint not null default 0,
        needs_gas boolean default true, touched integer default 0, updated_at timestamp default now(),
        unique (wallet_id, asset_on_chain_id)
      );
      create trigger touch before update on wallet_balances for each row execute function touch();
      create index rich on wallet_balances (on_chain_balance_human desc) where on_chain_balance_human > 1000000;
      create view everything as select * from wallet_balances;
      comment on table wallet_balances is 'of the user';
    `,
    source: "user_wallet_addresses",
    rows: addAddress + addBalance,
    findings: Array(5).fill("mistyped_column"),
  },
};

/** The additions that the contract and README name. */
const ours = new RegExp(
  [
    "^column wallet_balances (next_sync_at|consecutive_errors|on_chain_block|sync_lane) ",
    "^comment wallet_balances \\d+ Balance Sync: ",
    "^index (wallet_balances|asset_on_chain|user_wallet_addresses) CREATE INDEX \\w+ ",
    "^trigger \\w+ O CREATE TRIGGER balance_sync_",
    "^policy \\w+ balance_sync_worker_(reads|writes) ",
    "^grant \\w+ (\\w+ )?balance_sync_worker (SELECT|UPDATE)",
  ].join("|"),
);

const facts = Object.entries(shapes).map(([name, shape]) => [
  `${name}: kept as it is, and synced`,
  async ({ connect }: Parameters<Parameters<typeof onPostgres>[1][string]>[0]) => {
    const sql = connect();
    await sql.unsafe(referenceTables + shape.tables + shape.rows).simple();
    const [before, rows] = [await shapeOf(sql), await rowsOf(sql)];

    await migrate(sql);
    const after = await shapeOf(sql);
    assertEquals(missingIn(after, before), [], "lost");
    const tables = new Set(before.map((line) => line.split(" ")[1]));
    const added = missingIn(before, after).filter((line) => tables.has(line.split(" ")[1]));
    assertEquals(added.filter((line) => !ours.test(line)), [], "added beyond what is documented");
    assert(added.length > 20, "the comparison sees what is ours");
    assertEquals(await rowsOf(sql), rows, "rows");

    const [source] = await sql`select balance_sync.address_source() as name`;
    assertEquals(source!.name, shape.source);
    assertEquals(await sync(connect("service")), address);
    const [row] = await sql`
      select on_chain_balance_raw, on_chain_balance_human::text, processing_status::text, sync_count::integer, error_count
      from wallet_balances`;
    assertEquals({ ...row }, {
      on_chain_balance_raw: "1500001",
      on_chain_balance_human: "1.500001",
      processing_status: "idle",
      sync_count: 4,
      error_count: row!.error_count,
    });
    assertEquals(await fail(connect("service"), sql), "call_reverted: paused");
    assertEquals(await diagnose(sql), shape.findings ?? []);
  },
]);

onPostgres("adopting a database", {
  ...Object.fromEntries(facts),

  async "ids that are no uuids are refused by name, and nothing is changed"({ connect }) {
    const sql = connect();
    const tables = (referenceTables.split("insert")[0] + addressTable + balanceTable).toLowerCase();
    for (
      const [from, to, message] of [
        [
          "wallet_balances (\n    id uuid",
          "wallet_balances (\n    id bigint",
          "Cannot adopt public.wallet_balances: expected column id of type uuid, found bigint",
        ],
        [
          "wallet_id uuid not null",
          "wallet_id bigint not null",
          "Cannot adopt public.wallet_balances: expected column wallet_id of type uuid, found bigint",
        ],
        [
          "id uuid primary key default gen_random_uuid(), wallet_id uuid,",
          "id bigint, wallet_id bigint,",
          'Cannot use the address source "user_wallet_addresses": expected column public.user_wallet_addresses.wallet_id of type uuid, found bigint',
        ],
      ] as const
    ) {
      assert(tables.includes(from), from);
      await sql`drop schema public cascade`;
      await sql`create schema public`;
      await sql.unsafe(tables.replace(from, to)).simple();
      const before = await shapeOf(sql);
      await assertRejects(() => asOneTransaction(sql), Error, message);
      assertEquals(await shapeOf(sql), before);
    }
  },

  async "a table that cannot hold what is recorded is refused by name"({ connect }) {
    const sql = connect();
    for (
      const [change, message] of [
        [
          "alter table wallet_balances drop column locked_until",
          "expected column locked_until of type timestamp with time zone, found none",
        ],
        [
          "alter table wallet_balances alter column locked_by type varchar(40)",
          "expected column locked_by of type text, found character varying(40)",
        ],
        [
          "alter table wallet_balances alter column on_chain_balance_raw type numeric using null",
          "expected column on_chain_balance_raw of type text, found numeric",
        ],
        [
          "create type half as enum ('idle'); alter table wallet_balances alter column processing_status drop default, alter column processing_status type half using null",
          "expected column processing_status of type text, found public.half",
        ],
        [
          "alter table wallet_balances rename to w; create view wallet_balances as table w",
          "expected an ordinary table, found a view",
        ],
      ]
    ) {
      await sql.begin(async (sql) => {
        await sql.unsafe(`${referenceTables}${addressTable}${balanceTable}${change}`).simple();
        const message_ = `Cannot adopt public.wallet_balances: ${message}`;
        await assertRejects(() => migrate(sql), Error, message_);
        throw new Rollback();
      }).catch((error) => {
        if (!(error instanceof Rollback)) throw error;
      });
    }
  },

  async "a column that rounds is adopted"({ connect }) {
    const sql = connect();
    await sql.unsafe(referenceTables + documentZero.tables + documentZero.rows).simple();
    await sql`alter table wallet_balances alter column on_chain_balance_human type numeric(36, 4)`;
    await migrate(sql);
    await sync(connect("service"));
    const [row] =
      await sql`select on_chain_balance_raw, on_chain_balance_human from wallet_balances`;
    assertEquals({ ...row }, { on_chain_balance_raw: "1500001", on_chain_balance_human: "1.5000" });
  },

  async "an error is cut to the room there is"({ connect }) {
    const sql = connect();
    await sql.unsafe(referenceTables + documentZero.tables + documentZero.rows).simple();
    await sql`alter table wallet_balances alter column last_error type varchar(40)`;
    await migrate(sql);
    const service = connect("service");
    const message = "m".repeat(100);
    await record(service, await claimOne(service), { error: { code: "call_reverted", message } });
    const error = async () => (await sql`select last_error from wallet_balances`)[0]!.last_error;
    assertEquals(await error(), `call_reverted: ${message}`.slice(0, 40));

    await sql`update asset_on_chain set contract_address = null`;
    await sql`update wallet_balances set next_sync_at = now()`;
    assertEquals((await claim(service, "w")).claimed, 0);
    assertEquals(await error(), "missing_contract_address: expected asset");
  },

  async "a counter that is full stays full"({ connect }) {
    const sql = connect();
    await sql.unsafe(referenceTables + documentZero.tables + documentZero.rows).simple();
    await sql`
      alter table wallet_balances
        alter column sync_count type smallint, alter column error_count type smallint`;
    await migrate(sql);
    await sql`update wallet_balances set sync_count = 32767, error_count = 32767`;
    await sync(connect("service"));
    assertEquals(await fail(connect("service"), sql), "call_reverted: paused");
    const [row] = await sql`select sync_count, error_count from wallet_balances`;
    assertEquals({ ...row }, { sync_count: 32767, error_count: 32767 });
  },

  async "a lease in a column without a zone is the same moment to sessions of any time zone"(
    { connect },
  ) {
    const sql = connect();
    await sql.unsafe(referenceTables + documentZero.tables + documentZero.rows).simple();
    await sql`alter table wallet_balances alter column locked_until type timestamp`;
    await migrate(sql);
    const claimIn = async (zone: string) => {
      const session = connect("service");
      await session`select set_config('timezone', ${zone}, false)`;
      const claimed = await claim(session, zone);
      return { session, claimed };
    };
    for (const [holder, other] of [["Pacific/Kiritimati", "UTC"], ["UTC", "Pacific/Kiritimati"]]) {
      const held = await claimIn(holder!);
      assertEquals(held.claimed.claimed, 1);
      assertEquals((await claimIn(other!)).claimed.claimed, 0, "the lease has not ended");
      await sql`update wallet_balances set locked_until = now() at time zone 'UTC'`;
      const heir = await claimIn(other!);
      assertEquals(heir.claimed.claimed, 1, "the lease has ended");
      assertEquals((await record(held.session, heir.claimed)).recorded, 1);
      await sql`update wallet_balances set next_sync_at = now()`;
    }
  },

  async "no index is built while readers are locked out, and no row is rewritten"({ connect }) {
    const sql = connect();
    await sql.unsafe(referenceTables + documentZero.tables + documentZero.rows).simple();
    const file = () => sql`select pg_relation_filenode('wallet_balances') as node`;
    const [before] = await file();
    const built: string[] = [];
    for (const migration of await readMigrations()) {
      await sql.begin(async (sql) => {
        const [{ indexes }] = await sql<[{ indexes: string[] }]>`
          select array_agg(indexrelid::regclass::text) as indexes from pg_index where indrelid = 'wallet_balances'::regclass`;
        await sql.unsafe(migration.sql).simple();
        const added = await sql`
          select indexrelid::regclass::text as name from pg_index
          where indrelid = 'wallet_balances'::regclass and indexrelid::regclass::text <> all (${indexes})`;
        const locks = await sql`
          select mode from pg_locks
          where relation = 'wallet_balances'::regclass and pid = pg_backend_pid() and mode = 'AccessExclusiveLock'`;
        assertEquals(added.length > 0 && locks.length > 0, false, migration.name);
        assert(added.length <= 1, `${migration.name} keeps writers waiting for one index`);
        built.push(...added.map(({ name }) => name));
      });
    }
    assertEquals(built, [
      "wallet_balances_due",
      "wallet_balances_parked",
      "wallet_balances_wallet_id",
    ]);
    assertEquals((await file())[0], before);
  },

  async "columns and indexes that were made beforehand are kept"({ connect }) {
    const sql = connect();
    await sql.unsafe(referenceTables + documentZero.tables + documentZero.rows).simple();
    await sql.unsafe(`
      alter table wallet_balances
        add column next_sync_at timestamptz default now(), add column consecutive_errors integer not null default 0,
        add column on_chain_block numeric, add column sync_lane smallint;
    `).simple();
    for (
      const index of [
        "wallet_balances_due on wallet_balances (sync_lane, next_sync_at) where next_sync_at is not null",
        "wallet_balances_parked on wallet_balances (asset_on_chain_id, id) where next_sync_at is null",
        "anything on wallet_balances (wallet_id, asset_on_chain_id)",
      ]
    ) await sql.unsafe(`create index concurrently ${index}`);
    const indexes = async () =>
      (await shapeOf(sql)).filter((line) => line.startsWith("index wallet_balances "));
    const before = await indexes();
    await migrate(sql);
    assertEquals(await indexes(), before);
    assertEquals(await sync(connect("service")), address);
  },

  async "a column of ours that is somebody else's is refused"({ connect }) {
    const sql = connect();
    await sql.unsafe(referenceTables + documentZero.tables).simple();
    await sql`alter table wallet_balances add column sync_lane text`;
    const message =
      "Cannot adopt public.wallet_balances: expected column sync_lane of type smallint, found text";
    await assertRejects(() => migrate(sql), Error, message);
  },

  async "a table in use keeps adoption waiting for five seconds at most"({ connect }) {
    const [sql, user] = [connect(), connect()];
    await sql.unsafe(referenceTables + documentZero.tables).simple();
    await user.begin(async (user) => {
      await user`lock table wallet_balances in share mode`;
      await assertRejects(() => migrate(sql), Error, "lock timeout");
    });
    await migrate(sql);
  },
}, { migrate: false });

/** What is left to say of a project that has its secrets and its job. */
async function diagnose(sql: postgres.Sql): Promise<string[]> {
  await sql`select vault.create_secret('http://127.0.0.1:9', 'balance_sync_url')`;
  await sql`select vault.create_secret('secret', 'balance_sync_secret')`;
  await sql`select balance_sync.schedule()`;
  return (await sql`select finding from balance_sync.diagnose()`).map(({ finding }) => finding);
}

class Rollback extends Error {}

function id(n: number): string {
  return `00000000-0000-0000-0000-00000000000${n}`;
}

function migrate(sql: postgres.Sql | postgres.TransactionSql): Promise<void> {
  return applyMigrations((text) => sql.unsafe(text).simple());
}

async function asOneTransaction(sql: postgres.Sql): Promise<void> {
  await sql.begin((sql) => migrate(sql));
}

/** Every row as it was before ours came, as text. */
async function rowsOf(sql: postgres.Sql): Promise<unknown[]> {
  const rows = [];
  for (
    const { name } of await sql`
    select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`
  ) {
    rows.push(
      ...await sql`
        select ${name} as name, to_jsonb(t) - array['next_sync_at', 'consecutive_errors', 'on_chain_block', 'sync_lane'] as row
        from ${sql(name)} as t order by 2`,
    );
  }
  return rows;
}

/** Claims the one row, records a value and answers the address it was claimed with. */
async function sync(service: postgres.Sql): Promise<string> {
  const claim = await claimOne(service);
  const results = [{ id: id(9), raw: "1500001", block: "5" }];
  const [recorded] = await service`
    select record_wallet_balances(${claim.claim_id}, ${service.json(results)}) as answer`;
  assertEquals(recorded!.answer, { recorded: 1, failed: 0, changed: 1, stale: [], lost: [] });
  return claim.chains[0].balances[0].address;
}

/** Claims it again, records an error and answers what the row says. */
async function fail(service: postgres.Sql, sql: postgres.Sql): Promise<string> {
  await sql`update wallet_balances set next_sync_at = now()`;
  const error = { code: "call_reverted", message: "paused" };
  await record(service, await claimOne(service), { error });
  const [row] = await sql`select last_error from wallet_balances`;
  return row!.last_error;
}

async function claimOne(service: postgres.Sql) {
  const [row] = await service`select claim_wallet_balances('w') as claim`;
  assertEquals(row!.claim.claimed, 1);
  return row!.claim;
}
