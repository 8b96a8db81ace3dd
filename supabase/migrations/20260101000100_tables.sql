-- Tables: the seeds' five in public, created where missing and adopted where they exist, and the
-- worker's own in schema balance_sync. An adopted table keeps all it had; wallet_balances gains four
-- columns, and the role that owns the worker's functions gets exactly the rights it needs.

create schema if not exists balance_sync;

comment on schema balance_sync is 'Balance Sync: everything the worker owns. Not exposed by the Data API.';


-- The role behind every security definer function of ours. What it may not do, no bug can do.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'balance_sync_worker') then
        create role balance_sync_worker nologin;
    end if;
    -- Giving a function to a role needs membership in it (Postgres 15); postgres is no superuser on
    -- a hosted project, and from 16 on its own creation grants it admin but not membership.
    execute format('grant balance_sync_worker to %I', current_user);
end
$$;

grant usage on schema balance_sync to balance_sync_worker;
grant usage on schema public to balance_sync_worker;


-- Where a table that exists is not as the worker needs it: per column the type wanted, the type found
-- (or none), and whether it is fatal. What the worker can live with has a price that diagnose()
-- names: a clock without a zone, a number that rounds or ends too soon. Not missed are our own
-- columns, which adopt() adds, and last_processed_at and updated_at: a table is synced without them.
create function balance_sync.misfits()
returns table (table_name text, column_name text, expected text, found text, is_fatal boolean)
language sql
stable
set search_path = ''
as $$
    select
        w.table_name,
        c.name,
        w.expected,
        coalesce(f.type, 'none'),
        coalesce((w.expected, f.kind) not in (
            ('timestamp with time zone', 'timestamp without time zone'),
            ('numeric', 'bounded numeric'),
            ('numeric', 'double precision'),
            ('numeric', 'real'),
            ('integer', 'smallint')
        ), true)
    from (values
        ('chains', '{id}', 'uuid', '{}', null),
        ('chains', '{name,rpc_url}', 'text', '{character varying}', null),
        ('chains', '{is_active}', 'boolean', '{}', null),
        ('asset_on_chain', '{id,chain_id,asset_id}', 'uuid', '{}', null),
        ('asset_on_chain', '{contract_address}', 'text', '{character varying}', null),
        ('asset_on_chain', '{decimals}', 'integer', '{smallint,bigint,numeric}', null),
        ('asset_on_chain', '{is_native,is_active}', 'boolean', '{}', null),
        ('wallet_balances', '{id,wallet_id,asset_on_chain_id}', 'uuid', '{}', null),
        ('wallet_balances', '{on_chain_balance_raw}', 'text', '{character varying}', 78),
        ('wallet_balances', '{on_chain_balance_human}', 'numeric', '{text,character varying}', 80),
        ('wallet_balances', '{processing_status}', 'text', '{character varying,enum}', 10),
        ('wallet_balances', '{locked_by}', 'text', '{character varying}', 100),
        ('wallet_balances', '{last_error}', 'text', '{character varying}', 40),
        ('wallet_balances', '{sync_count,error_count}', 'integer', '{bigint}', null),
        (
            'wallet_balances', '{locked_until,last_checked,last_processed_at,last_error_at,updated_at}',
            'timestamp with time zone', '{}', null
        ),
        -- ours: somebody else's column of that name is not overwritten
        ('wallet_balances', '{next_sync_at}', 'timestamp with time zone', '{}', null),
        ('wallet_balances', '{consecutive_errors}', 'integer', '{}', null),
        ('wallet_balances', '{on_chain_block}', 'numeric', '{}', null),
        ('wallet_balances', '{sync_lane}', 'smallint', '{}', null)
    ) as w (table_name, columns, expected, also, room)
    cross join unnest(w.columns::text[]) as c (name)
    left join lateral (
        select
            format_type(a.atttypid, a.atttypmod),
            case
                when b.typtype = 'e' then (
                    select 'enum'
                    from pg_catalog.pg_enum as e
                    where e.enumtypid = b.oid and e.enumlabel in ('idle', 'processing')
                    having count(*) = 2
                )
                when w.expected = 'numeric' and b.oid = 'numeric'::regtype and a.atttypmod <> -1 then 'bounded numeric'
                when b.oid = 'varchar'::regtype and a.atttypmod - 4 < w.room and a.atttypmod <> -1 then 'short text'
                else format_type(b.oid, null)
            end
        from pg_catalog.pg_attribute as a
        join pg_catalog.pg_type as d on d.oid = a.atttypid
        join pg_catalog.pg_type as b on b.oid = coalesce(nullif(d.typbasetype, 0), d.oid)
        where a.attrelid = to_regclass('public.' || w.table_name)
          and a.attname = c.name
          and not a.attisdropped
    ) as f (type, kind) on true
    where to_regclass('public.' || w.table_name) is not null
      and coalesce(f.kind <> w.expected and f.kind <> all (w.also::text[]), true)
      and (f.type is not null or c.name not in (
          'last_processed_at', 'updated_at',
          'next_sync_at', 'consecutive_errors', 'on_chain_block', 'sync_lane'
      ))
$$;


-- What the worker may write in wallet_balances, the contract's list, as far as the table has it.
create function balance_sync.written_columns()
returns text[]
language sql
stable
set search_path = ''
as $$
    select array_agg(a.attname::text order by w.place)
    from unnest(array[
        'on_chain_balance_raw', 'on_chain_balance_human', 'processing_status', 'locked_until', 'locked_by',
        'last_checked', 'last_processed_at', 'last_error', 'last_error_at', 'sync_count', 'error_count', 'updated_at',
        'next_sync_at', 'consecutive_errors', 'on_chain_block', 'sync_lane'
    ]) with ordinality as w (name, place)
    join pg_catalog.pg_attribute as a
        on a.attrelid = to_regclass('public.wallet_balances')
        and a.attname = w.name
        and not a.attisdropped
$$;


-- Creates the seeds' tables where they are missing, adds our four columns to wallet_balances, and
-- gives the worker its rights. Run again it mends what was lost of that. It reads no row; whoever
-- uses the tables waits for milliseconds, and after five seconds of waiting for them it gives up.
-- Errors: 42P16, 42703 or 42804 and nothing changed for a table that cannot be adopted.
create function balance_sync.adopt()
returns void
language plpgsql
volatile
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    wanted record;
    misfit record;
begin
    for wanted in
        select
            c.relname as name,
            case c.relkind when 'v' then 'a view' when 'm' then 'a materialized view' when 'p' then 'a partitioned table' else 'something else' end as found
        from pg_catalog.pg_class as c
        where c.relnamespace = 'public'::regnamespace
          and c.relname in ('chains', 'assets', 'asset_on_chain', 'wallet_balances')
          and c.relkind <> 'r'
    loop
        raise exception 'Cannot adopt public.%: expected an ordinary table, found %', wanted.name, wanted.found
            using errcode = '42P16', hint = 'Nothing was changed.';
    end loop;

    select * into misfit from balance_sync.misfits() as m where m.is_fatal limit 1;
    if found then
        raise exception 'Cannot adopt public.%: expected column % of type %, found %',
            misfit.table_name, misfit.column_name, misfit.expected, misfit.found
            using
                errcode = case misfit.found when 'none' then '42703' else '42804' end,
                hint = case misfit.expected when 'uuid' then 'Balance Sync identifies rows by uuid. ' else '' end || 'Nothing was changed.';
    end if;

    -- A table made here has row level security on, is read by the worker and kept by service_role.
    -- An adopted one keeps its own security; it gets a policy for the worker only where it has RLS.
    for wanted in
        select *
        from (values
            ('chains', $ddl$(
                id uuid primary key default gen_random_uuid(),
                name text not null,
                rpc_url text,
                is_active boolean not null default true,
                created_at timestamptz not null default now(),
                updated_at timestamptz not null default now()
            )$ddl$),
            ('assets', $ddl$(
                id uuid primary key default gen_random_uuid(),
                symbol text,
                name text,
                created_at timestamptz not null default now()
            )$ddl$),
            ('asset_on_chain', $ddl$(
                id uuid primary key default gen_random_uuid(),
                chain_id uuid not null references public.chains (id),
                asset_id uuid not null references public.assets (id),
                contract_address text,
                decimals integer,
                is_native boolean not null default false,
                is_active boolean not null default true,
                created_at timestamptz not null default now(),
                updated_at timestamptz not null default now()
            )$ddl$),
            ('user_wallet_addresses', $ddl$(
                id uuid primary key default gen_random_uuid(),
                wallet_id uuid not null,
                chain_id uuid not null references public.chains (id),
                address text,
                is_active boolean not null default true,
                created_at timestamptz not null default now()
            )$ddl$),
            -- fillfactor 70 leaves room on the page, so that a claim's update stays on it (HOT): after
            -- two million syncs of a million rows a claim takes 1.18 times as long, with 80 1.31 times.
            ('wallet_balances', $ddl$(
                id uuid primary key default gen_random_uuid(),
                wallet_id uuid not null,
                asset_on_chain_id uuid not null references public.asset_on_chain (id),
                on_chain_balance_raw text,
                on_chain_balance_human numeric,
                processing_status text default 'idle',
                locked_until timestamptz,
                locked_by text,
                last_checked timestamptz,
                last_processed_at timestamptz,
                last_error text,
                last_error_at timestamptz,
                sync_count integer default 0,
                error_count integer default 0,
                needs_gas boolean not null default false,
                needs_consolidation boolean not null default false,
                priority integer not null default 0,
                gas_locked_until timestamptz,
                gas_locked_by text,
                consolidation_locked_until timestamptz,
                consolidation_locked_by text,
                created_at timestamptz default now(),
                updated_at timestamptz default now()
            ) with (fillfactor = 70)$ddl$)
        ) as t (name, ddl)
    loop
        if to_regclass('public.' || wanted.name) is null then
            execute format('create table public.%I %s', wanted.name, wanted.ddl);
            execute format('comment on table public.%I is %L', wanted.name, 'Made by Balance Sync; yours to keep.');
            execute format('alter table public.%I enable row level security', wanted.name);
            execute format('revoke all on public.%I from anon, authenticated', wanted.name);
            execute format('grant select, insert, update, delete on public.%I to service_role', wanted.name);
        end if;
        execute format('grant select on public.%I to balance_sync_worker', wanted.name);
    end loop;

    -- A constant default rewrites no existing row: now() is evaluated once, so every adopted row is
    -- due at once and waits for a lane (null).
    alter table public.wallet_balances
        add column if not exists next_sync_at timestamptz default now(),
        add column if not exists consecutive_errors integer not null default 0,
        add column if not exists on_chain_block numeric,
        add column if not exists sync_lane smallint;

    comment on column public.wallet_balances.next_sync_at is 'Balance Sync: when the row is due; null = parked.';
    comment on column public.wallet_balances.consecutive_errors is 'Balance Sync: failures since the last value; sets the backoff.';
    comment on column public.wallet_balances.on_chain_block is 'Balance Sync: the block the balance was attested at.';
    comment on column public.wallet_balances.sync_lane is 'Balance Sync: the lane the row is dealt in; null = not dealt yet.';

    execute format(
        'grant update (%s) on public.wallet_balances to balance_sync_worker',
        array_to_string(balance_sync.written_columns(), ', ')
    );

    for wanted in
        select c.relname as name
        from pg_catalog.pg_class as c
        where c.relnamespace = 'public'::regnamespace
          and c.relname in ('chains', 'assets', 'asset_on_chain', 'user_wallet_addresses', 'wallet_balances')
          and c.relrowsecurity
    loop
        execute format('drop policy if exists balance_sync_worker_reads on public.%I', wanted.name);
        execute format(
            'create policy balance_sync_worker_reads on public.%I for select to balance_sync_worker using (true)',
            wanted.name
        );
        if wanted.name = 'wallet_balances' then
            drop policy if exists balance_sync_worker_writes on public.wallet_balances;
            create policy balance_sync_worker_writes on public.wallet_balances
                for update to balance_sync_worker using (true);
        end if;
    end loop;
end
$$;

revoke all on function balance_sync.adopt() from public, anon, authenticated, service_role;
revoke all on function balance_sync.misfits() from public, anon, authenticated, service_role;
revoke all on function balance_sync.written_columns() from public, anon, authenticated, service_role;

do $$
begin
    perform balance_sync.adopt();
end
$$;


create table balance_sync.settings (
    only_row boolean primary key default true,
    batch_size integer not null default 50,
    max_batch_size integer not null default 500,
    lock_seconds integer not null default 120,
    sync_interval_seconds integer not null default 30,
    backoff_base_seconds integer not null default 30,
    backoff_cap_seconds integer not null default 21600,
    max_parallel_runs integer not null default 4,
    retain_runs interval not null default '7 days',
    retain_balance_changes interval not null default '365 days',
    constraint only_one_row check (only_row),
    constraint batch_size_in_range check (batch_size between 1 and max_batch_size),
    constraint max_batch_size_in_range check (max_batch_size between 1 and 5000),
    constraint lock_seconds_positive check (lock_seconds >= 1),
    constraint sync_interval_not_negative check (sync_interval_seconds >= 0),
    constraint backoff_in_order check (backoff_base_seconds between 1 and backoff_cap_seconds),
    constraint max_parallel_runs_in_range check (max_parallel_runs between 0 and 100)
);

comment on table balance_sync.settings is 'How the worker runs. One row; change it with update.';

insert into balance_sync.settings default values;


create table balance_sync.chain_settings (
    chain_id uuid primary key references public.chains (id) on delete cascade,
    adapter text,
    evm_chain_id bigint,
    fallback_rpc_urls text[],
    rpc_headers jsonb,
    multicall_address text,
    calls_per_request integer,
    max_parallel_requests integer,
    request_timeout_ms integer,
    block_tag text,
    constraint rpc_headers_is_object check (jsonb_typeof(rpc_headers) = 'object'),
    constraint calls_per_request_positive check (calls_per_request >= 1),
    constraint max_parallel_requests_positive check (max_parallel_requests >= 1),
    constraint request_timeout_ms_positive check (request_timeout_ms >= 1)
);

comment on table balance_sync.chain_settings is
    'Per chain, all optional. A header value "vault:<secret name>" is read from Vault when rows are claimed.';


-- What is known of a chain between runs. out_since is null while the chain answers.
create table balance_sync.chain_state (
    chain_id uuid primary key references public.chains (id) on delete cascade,
    out_since timestamptz,
    out_until timestamptz,
    outages integer not null default 0,
    probe_claim_id uuid,
    error text,
    evm_chain_id numeric,
    stale_since timestamptz,
    last_block numeric,
    last_block_at timestamptz,
    constraint out_since_has_out_until check ((out_since is null) = (out_until is null))
) with (fillfactor = 50);

comment on table balance_sync.chain_state is
    'Per chain: outages, the newest block seen, and the chain id its nodes gave when it was first read.';


-- A lane is a chain times a part of its wallets. A claim takes one lane after the other, so that
-- concurrent claims do not meet at the head of one index.
create table balance_sync.lanes (
    lane smallint generated always as identity primary key,
    chain_id uuid not null,
    part smallint not null,
    rows_dealt bigint not null default 0,
    last_taken timestamptz not null default '-infinity',
    constraint one_lane_per_part unique (chain_id, part)
) with (fillfactor = 50);

comment on table balance_sync.lanes is 'Lanes of due rows; rows_dealt only ever grows.';


create table balance_sync.unparking (
    asset_on_chain_id uuid primary key,
    requested_at timestamptz not null default now(),
    done_to uuid,
    rows_were_locked boolean not null default false
) with (fillfactor = 50);

comment on table balance_sync.unparking is 'Mended assets whose parked rows wait to be made due, a chunk per claim.';


create table balance_sync.runs (
    id uuid primary key default gen_random_uuid(),
    worker_id text,
    request_id bigint,
    queued_at timestamptz,
    started_at timestamptz,
    heartbeat_at timestamptz,
    ended_at timestamptz,
    stopped_because text,
    error text,
    batches integer not null default 0,
    claimed bigint not null default 0,
    recorded bigint not null default 0,
    changed bigint not null default 0,
    failed bigint not null default 0,
    stale bigint not null default 0,
    lost bigint not null default 0,
    released bigint not null default 0,
    constraint one_run_per_worker unique (worker_id),
    constraint ended_has_reason check ((ended_at is null) = (stopped_because is null))
) with (fillfactor = 50);

comment on table balance_sync.runs is 'One row per invocation, from queued to ended.';

create index runs_open on balance_sync.runs (queued_at) where ended_at is null;


create table balance_sync.balance_changes (
    id bigint generated always as identity primary key,
    wallet_balance_id uuid not null,
    old_raw numeric,
    new_raw numeric not null,
    block numeric not null,
    run_id uuid,
    changed_at timestamptz not null default now()
);

comment on table balance_sync.balance_changes is
    'One row whenever a recorded balance differs from the one before (old_raw null: the first), written in the same transaction.';

create index balance_changes_of_wallet_balance on balance_sync.balance_changes (wallet_balance_id, id);
create index balance_changes_changed_at on balance_sync.balance_changes using brin (changed_at);


-- Shapes that pass between the statements of one function.
create type balance_sync.leased_balance as (
    chain_id uuid, id uuid, address text, asset_id uuid, is_native boolean, contract_address text, decimals integer
);

create type balance_sync.result as (
    id uuid, raw numeric, block numeric, evm_chain_id numeric, code text, message text, scope text
);

create type balance_sync.chain_head as (chain_id uuid, block numeric, evm_chain_id numeric);

grant select on balance_sync.settings, balance_sync.chain_settings to balance_sync_worker;
grant select, insert, update, delete
    on balance_sync.chain_state, balance_sync.lanes, balance_sync.unparking, balance_sync.runs
    to balance_sync_worker;
grant select, insert on balance_sync.balance_changes to balance_sync_worker;
