/** How long those who use a table of a million rows wait while the migrations adopt it. */
import postgres from "postgres";
import { readMigrations } from "../local/migrations.ts";
import { startPostgres } from "../local/postgres.ts";
import { type Figure, figure, median, show } from "./figure.ts";

const rows = 1_000_000;
const repeats = 5;

/** Document 000's table, as somebody has it who has never heard of us. */
const table = `
  create table chains (id uuid primary key, name text, rpc_url text, is_active boolean);
  create table asset_on_chain (
    id uuid primary key, chain_id uuid, asset_id uuid, contract_address text, decimals integer, is_native boolean, is_active boolean
  );
  create table wallet_balances (
    id uuid primary key, wallet_id uuid not null, asset_on_chain_id uuid not null references asset_on_chain (id),
    on_chain_balance_raw text, on_chain_balance_human numeric,
    processing_status text default 'idle', locked_until timestamptz, locked_by text,
    last_checked timestamptz, last_processed_at timestamptz, last_error text, last_error_at timestamptz,
    sync_count integer default 0, error_count integer default 0,
    created_at timestamptz default now(), updated_at timestamptz default now()
  );
  insert into chains select md5('chain' || n)::uuid, 'chain_' || n, 'http://127.0.0.1:1', true from generate_series(1, 4) as n;
  insert into asset_on_chain
    select md5('asset' || n)::uuid, md5('chain' || n % 4 + 1)::uuid, md5('asset' || n)::uuid, null, 18, true, true
    from generate_series(1, 40) as n;
  insert into wallet_balances (id, wallet_id, asset_on_chain_id, on_chain_balance_raw, on_chain_balance_human)
    select gen_random_uuid(), md5('wallet' || n / 40)::uuid, md5('asset' || n % 40 + 1)::uuid, '1000000000000', 1.5
    from generate_series(0, ${rows - 1}) as n;
`;

export async function run(): Promise<Figure[]> {
  const waits = { reader: [] as number[], writer: [] as number[], all: [] as number[] };
  for (let i = 0; i < repeats; i++) {
    const { reader, writer, all } = await adopt();
    waits.reader.push(reader);
    waits.writer.push(writer);
    waits.all.push(all);
  }
  // a peer that did it all in one transaction would lock everybody out for all of that time
  const all = median(waits.all);
  return [
    figure(
      "adopting 1M rows, longest wait of a reader: all migrations",
      median(waits.reader),
      all,
      "ms",
      0.1,
    ),
    figure(
      "adopting 1M rows, longest wait of a writer: all migrations",
      median(waits.writer),
      all,
      "ms",
      0.75,
    ),
  ];
}

/** The longest waits in ms of who reads and who writes meanwhile, and how long all of it took. */
async function adopt(): Promise<{ reader: number; writer: number; all: number }> {
  await using server = await startPostgres({ migrate: false });
  const connect = () => postgres(server.url, { max: 1, onnotice: () => {} });
  const [sql, reading, writing] = [connect(), connect(), connect()];
  try {
    await sql.unsafe(table).simple();
    let isOver = false;
    const longest = async (statement: () => Promise<unknown>) => {
      let wait = 0;
      while (!isOver) {
        const started = performance.now();
        await statement();
        wait = Math.max(wait, performance.now() - started);
      }
      return wait;
    };
    const [{ id }] = await sql`select id from wallet_balances limit 1` as [{ id: string }];
    const waits = Promise.all([
      longest(() => reading`select sync_count from wallet_balances where id = ${id}`),
      longest(() => writing`update wallet_balances set sync_count = 0 where id = ${id}`),
    ]);
    const started = performance.now();
    for (const migration of await readMigrations()) await sql.unsafe(migration.sql).simple();
    const all = performance.now() - started;
    isOver = true;
    const [reader, writer] = await waits;
    return { reader, writer, all };
  } finally {
    await Promise.all([sql, reading, writing].map((connection) => connection.end()));
  }
}

if (import.meta.main) (await run()).forEach(show);
