-- What stands behind a claim: dealing rows into lanes, parking rows that cannot be synced and making
-- them due again when the cause is mended.


-- How much of an error wallet_balances.last_error holds: 1,000 characters, or fewer where it is a
-- narrower varchar. A code has at most 24.
create function balance_sync.error_length()
returns integer
language sql
stable
set search_path = ''
as $$
    select least(1000, (
        select nullif(coalesce(nullif(a.atttypmod, -1), t.typtypmod), -1) - 4
        from pg_catalog.pg_attribute as a
        join pg_catalog.pg_type as t on t.oid = a.atttypid
        where a.attrelid = 'public.wallet_balances'::regclass
          and a.attname = 'last_error'
    ))
$$;


-- Parks rows that cannot be synced. Parking must not race with the mending of its cause: whoever
-- mends holds ROW EXCLUSIVE on balance_sync.unparking until it commits (see request_unparking), so
-- under a SHARE lock nobody is about to mend, and this statement's snapshot sees all that has been.
-- Where that lock is not to be had at once, the rows are put off for a minute instead.
-- A cause that is a mistake in the data, not a switch somebody turned off, is the row's error.
create function balance_sync.park(wallet_balance_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    begin
        lock table balance_sync.unparking in share mode nowait;
    exception when lock_not_available then
        update public.wallet_balances as b
        set next_sync_at = now() + interval '1 minute'
        where b.id = any (park.wallet_balance_ids);
        return;
    end;

    update public.wallet_balances as b
    set next_sync_at = null
    from balance_sync.targets as t
    where b.id = any (park.wallet_balance_ids)
      and t.id = b.id
      and t.parked_because in ('asset_missing', 'chain_missing', 'chain_inactive', 'asset_inactive', 'address_missing');

    update public.wallet_balances as b
    set
        next_sync_at = null,
        error_count = least(coalesce(b.error_count, 0)::bigint + 1, case pg_typeof(b.error_count) when 'smallint'::regtype then 32767 else 2147483647 end),
        consecutive_errors = least(b.consecutive_errors, 2147483646) + 1,
        last_error = left(t.parked_because || ': ' || case t.parked_because
            when 'ambiguous_address' then 'expected one active address of the wallet on its chain, found several'
            when 'missing_contract_address' then 'expected asset_on_chain.contract_address for a token, found none'
        end, (select balance_sync.error_length())),
        last_processed_at = now(),
        last_error_at = now()
    from balance_sync.targets as t
    where b.id = any (park.wallet_balance_ids)
      and t.id = b.id
      and t.parked_because in ('ambiguous_address', 'missing_contract_address');
end
$$;


-- Deals up to max_rows rows that have no lane yet. A chain's rows share one lane until it has
-- 10,000 of them; from then on eight, by the last three bits of the wallet id. Returns how many
-- rows it looked at.
create function balance_sync.deal_lanes(max_rows integer)
returns integer
language plpgsql
volatile
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    fresh tid[];
    unreadable uuid[];
begin
    -- One dealer at a time: two would wait for each other's lanes. The others take what is dealt; if
    -- that is nothing they wait for the dealer to commit, lest the first runs of a new table but one
    -- think that nothing is due. Nobody holds a lane yet, so the dealer waits for none of them.
    if not pg_try_advisory_xact_lock(hashtext('balance_sync.deal_lanes')) then
        if not exists (
            select
            from balance_sync.lanes as l
            cross join lateral (
                select
                from public.wallet_balances as b
                where b.sync_lane = l.lane
                  and b.next_sync_at <= now()
                  and (b.locked_until is null or b.locked_until <= now())
                limit 1
            ) as due
        ) then
            perform pg_advisory_xact_lock_shared(hashtext('balance_sync.deal_lanes'));
        end if;
        return 0;
    end if;

    fresh := array(
        select b.ctid
        from public.wallet_balances as b
        where b.sync_lane is null
          and b.next_sync_at is not null
        -- Leading with the lane, which is null in all of them, lets the index give the order.
        order by b.sync_lane, b.next_sync_at
        limit deal_lanes.max_rows
        for update skip locked
    );
    if cardinality(fresh) = 0 then
        return 0;
    end if;

    insert into balance_sync.lanes (chain_id, part)
    select t.chain_id, p.part
    from (
        select distinct a.chain_id
        from unnest(fresh) as f (row_at)
        join public.wallet_balances as b on b.ctid = f.row_at
        join public.asset_on_chain as a on a.id = b.asset_on_chain_id
    ) as t
    cross join generate_series(0, 7) as p (part)
    where p.part = 0
       or exists (
           select from balance_sync.lanes as l
           where l.chain_id = t.chain_id and l.part = 0 and l.rows_dealt >= 10000
       )
    on conflict do nothing;

    with dealt as materialized (
        select f.row_at, l.lane
        from unnest(fresh) as f (row_at)
        join public.wallet_balances as b on b.ctid = f.row_at
        join public.asset_on_chain as a on a.id = b.asset_on_chain_id
        join balance_sync.lanes as l
            on l.chain_id = a.chain_id
            and l.part = coalesce(
                (
                    select p.part
                    from balance_sync.lanes as p
                    where p.chain_id = a.chain_id
                      and p.part = get_byte(uuid_send(b.wallet_id), 15) & 7
                ),
                0
            )
    ),
    moved as (
        update public.wallet_balances as b
        set sync_lane = dealt.lane
        from dealt
        where b.ctid = dealt.row_at
        returning b.sync_lane
    )
    update balance_sync.lanes as l
    set rows_dealt = l.rows_dealt + m.rows
    from (select sync_lane, count(*) as rows from moved group by sync_lane) as m
    where l.lane = m.sync_lane;

    -- What is left points at no asset: there is no chain to deal it to.
    unreadable := array(
        select b.id
        from unnest(fresh) as f (row_at)
        join public.wallet_balances as b on b.ctid = f.row_at
        where b.sync_lane is null
    );
    if cardinality(unreadable) > 0 then
        perform balance_sync.park(unreadable);
    end if;

    return cardinality(fresh);
end
$$;


-- Walks up to max_rows parked rows of one mended asset and makes those due that can be synced now. A
-- million rows come back in as many chunks as it takes, one per claim; only one claim at a time
-- works on an asset. Returns how many rows it walked.
create function balance_sync.unpark(max_rows integer)
returns integer
language plpgsql
volatile
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    mended balance_sync.unparking;
    chunk uuid[];
    locked tid[];
begin
    select *
    into mended
    from balance_sync.unparking as u
    order by u.requested_at
    limit 1
    for update skip locked;
    if not found then
        return 0;
    end if;

    chunk := array(
        select b.id
        from public.wallet_balances as b
        where b.asset_on_chain_id = mended.asset_on_chain_id
          and b.next_sync_at is null
          and b.id > coalesce(mended.done_to, '00000000-0000-0000-0000-000000000000')
        order by b.id
        limit unpark.max_rows
    );
    locked := array(
        select b.ctid
        from public.wallet_balances as b
        where b.id = any (chunk)
        for update skip locked
    );

    update public.wallet_balances as b
    set next_sync_at = now()
    from unnest(locked) as l (row_at)
    join balance_sync.targets as t on t.row_at = l.row_at
    where b.ctid = l.row_at
      and b.next_sync_at is null
      and t.parked_because is null;

    mended.rows_were_locked := mended.rows_were_locked or cardinality(locked) < cardinality(chunk);
    if cardinality(chunk) = unpark.max_rows then
        update balance_sync.unparking as u
        set done_to = chunk[cardinality(chunk)], rows_were_locked = mended.rows_were_locked
        where u.asset_on_chain_id = mended.asset_on_chain_id;
    elsif mended.rows_were_locked then
        -- Somebody else was writing some of the rows: once more from the start, behind the others.
        update balance_sync.unparking as u
        set done_to = null, rows_were_locked = false, requested_at = clock_timestamp()
        where u.asset_on_chain_id = mended.asset_on_chain_id;
    else
        delete from balance_sync.unparking as u
        where u.asset_on_chain_id = mended.asset_on_chain_id;
    end if;
    return cardinality(chunk);
end
$$;


-- Notes that parked rows of these assets may be readable again. The ROW EXCLUSIVE lock, held until
-- the mending transaction commits, is what keeps park() from missing the change; it is taken even
-- when nothing is parked yet.
create function balance_sync.request_unparking(asset_on_chain_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    lock table balance_sync.unparking in row exclusive mode;
    insert into balance_sync.unparking as u (asset_on_chain_id)
    select i.id
    from unnest(request_unparking.asset_on_chain_ids) as i (id)
    where exists (
        select from public.wallet_balances as b
        where b.asset_on_chain_id = i.id and b.next_sync_at is null
    )
    order by i.id
    on conflict (asset_on_chain_id) do update set done_to = null;
end
$$;


create function balance_sync.asset_on_chain_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
    perform balance_sync.request_unparking(array(select c.id from changed as c));
    return null;
end
$$;

-- What a worker reads just now of assets that point elsewhere from now on is another's balance: their
-- rows lose their lease. Those that failed are due, for that may be what is mended. An asset that
-- moves to another chain takes all its rows to other lanes, and the blocks known of the old chain
-- say nothing about the new one. All their rows are locked first, in the table's order, as a record
-- does: a claim in flight is waited for and its lease then seen, and a later one passes them by until
-- this transaction commits. The whole table is read for that, a second or two at a million rows,
-- once a statement: the event is rare, and an index by asset would cost each record (see due_index.sql).
create function balance_sync.asset_on_chain_repointed()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    repointed uuid[];
    moved uuid[];
    rows_at tid[];
begin
    select array_agg(n.id), array_agg(n.id) filter (where n.chain_id is distinct from o.chain_id)
    into repointed, moved
    from new_rows as n
    join old_rows as o on o.id = n.id
    where (n.chain_id, n.contract_address, n.is_native, n.decimals)
        is distinct from (o.chain_id, o.contract_address, o.is_native, o.decimals);
    if repointed is null then
        return null;
    end if;

    rows_at := array(
        select b.ctid
        from public.wallet_balances as b
        where b.asset_on_chain_id = any (repointed)
        order by b.ctid
        for no key update
    );
    update public.wallet_balances as b
    set
        sync_lane = case when b.asset_on_chain_id = any (moved) then null else b.sync_lane end,
        on_chain_block = case when b.asset_on_chain_id = any (moved) then null else b.on_chain_block end,
        next_sync_at = least(b.next_sync_at, case when b.next_sync_at is not null then now() end),
        processing_status = 'idle',
        locked_until = null,
        locked_by = null
    from unnest(rows_at) as r (row_at)
    where b.ctid = r.row_at
      and (b.asset_on_chain_id = any (moved) or b.locked_until is not null or b.consecutive_errors > 0);
    return null;
end
$$;

-- Changed chains are asked again at once, whatever outage was noted. Locked in one order, as a record
-- does: see note_chains().
create function balance_sync.ask_again(chain_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform from balance_sync.chain_state as s
    where s.chain_id = any (ask_again.chain_ids)
    order by s.chain_id
    for update;
    update balance_sync.chain_state as s
    set out_until = now()
    where s.chain_id = any (ask_again.chain_ids)
      and s.out_until > now();
end
$$;


create function balance_sync.chains_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
    -- Before the chain's state: a claim that parks holds this table and may want that row.
    lock table balance_sync.unparking in row exclusive mode;
    perform balance_sync.ask_again(array(select c.id from changed as c));
    perform balance_sync.request_unparking(array(
        select a.id from changed as c join public.asset_on_chain as a on a.chain_id = c.id
    ));
    return null;
end
$$;

-- An operator who sets another evm_chain_id than the one its nodes gave says that it is another chain
-- now: the blocks of the old one say nothing about it, and what is read of the old one is dropped.
create function balance_sync.chain_settings_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    replaced uuid[];
    rows_at tid[];
begin
    perform balance_sync.ask_again(array(select c.chain_id from changed as c));

    with other as (
        update balance_sync.chain_state as s
        set evm_chain_id = c.evm_chain_id, last_block = null, stale_since = null
        from changed as c
        where s.chain_id = c.chain_id
          and s.evm_chain_id <> c.evm_chain_id
        returning s.chain_id
    )
    select array_agg(o.chain_id) into replaced from other as o;
    if replaced is null then
        return null;
    end if;

    rows_at := array(
        select b.ctid
        from public.wallet_balances as b
        join public.asset_on_chain as a on a.id = b.asset_on_chain_id
        where a.chain_id = any (replaced)
          and (b.on_chain_block is not null or b.locked_until is not null)
        order by b.ctid
        for no key update of b
    );
    update public.wallet_balances as b
    set on_chain_block = null, processing_status = 'idle', locked_until = null, locked_by = null
    from unnest(rows_at) as r (row_at)
    where b.ctid = r.row_at;
    return null;
end
$$;

-- A row that is pointed at another wallet or asset is dealt anew and due. It also loses its lease:
-- what a worker is reading just now belongs to the old wallet.
create function balance_sync.wallet_balances_repointed()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
    new.sync_lane := null;
    new.next_sync_at := now();
    new.on_chain_block := null;
    new.processing_status := 'idle';
    new.locked_until := null;
    new.locked_by := null;
    return new;
end
$$;

-- The triggers that notice a change; those of the addresses belong to use_address_source(). What is
-- missing or disabled is found by diagnose().
create function balance_sync.wanted_triggers()
returns table (trigger_name text, on_table text, definition text)
language sql
immutable
set search_path = ''
as $$
    select
        'balance_sync_' || w.name,
        w.on_table,
        format(
            'create trigger %s %s on %s %s execute function balance_sync.%s();',
            'balance_sync_' || w.name, w.event, w.on_table, w.scope, w.calls
        )
    from (values
        ('asset_on_chain_inserted', 'after insert', 'public.asset_on_chain',
            'referencing new table as changed for each statement', 'asset_on_chain_changed'),
        ('asset_on_chain_updated', 'after update', 'public.asset_on_chain',
            'referencing new table as changed for each statement', 'asset_on_chain_changed'),
        ('asset_on_chain_repointed', 'after update', 'public.asset_on_chain',
            'referencing old table as old_rows new table as new_rows for each statement', 'asset_on_chain_repointed'),
        ('chains_inserted', 'after insert', 'public.chains',
            'referencing new table as changed for each statement', 'chains_changed'),
        ('chains_updated', 'after update', 'public.chains',
            'referencing new table as changed for each statement', 'chains_changed'),
        ('chain_settings_inserted', 'after insert', 'balance_sync.chain_settings',
            'referencing new table as changed for each statement', 'chain_settings_changed'),
        ('chain_settings_updated', 'after update', 'balance_sync.chain_settings',
            'referencing new table as changed for each statement', 'chain_settings_changed'),
        ('wallet_balances_repointed', 'before update of wallet_id, asset_on_chain_id', 'public.wallet_balances',
            'for each row when (new.wallet_id is distinct from old.wallet_id or new.asset_on_chain_id is distinct from old.asset_on_chain_id)',
            'wallet_balances_repointed')
    ) as w (name, event, on_table, scope, calls)
$$;

revoke all on function balance_sync.wanted_triggers() from public, anon, authenticated, service_role;

do $$
declare
    wanted record;
begin
    for wanted in select * from balance_sync.wanted_triggers() loop
        execute wanted.definition;
    end loop;
end
$$;


-- A secret of the project's Vault by name; null where it does not exist. Runs as the owner of the
-- database, the only one who may read Vault, and is callable by the worker's functions alone.
create function balance_sync.vault_secret(name text)
returns text
language plpgsql
stable
security definer
set search_path = ''
as $$
declare
    secret text;
begin
    if to_regclass('vault.decrypted_secrets') is null then
        return null;
    end if;
    execute 'select s.decrypted_secret from vault.decrypted_secrets as s where s.name = $1'
        into secret
        using vault_secret.name;
    return secret;
end
$$;

revoke all on function balance_sync.vault_secret(text) from public, anon, authenticated, service_role;
grant execute on function balance_sync.vault_secret(text) to balance_sync_worker;


-- The worker's role owns the rest: it may do to the user's tables what tables.sql grants, no more.
-- To be given a function, a role needs create on its schema at that moment.
grant create on schema balance_sync to balance_sync_worker;

do $$
declare
    owned regprocedure;
begin
    foreach owned in array array[
        'balance_sync.error_length()', 'balance_sync.park(uuid[])', 'balance_sync.deal_lanes(integer)',
        'balance_sync.unpark(integer)', 'balance_sync.request_unparking(uuid[])', 'balance_sync.ask_again(uuid[])',
        'balance_sync.asset_on_chain_changed()', 'balance_sync.asset_on_chain_repointed()', 'balance_sync.chains_changed()',
        'balance_sync.chain_settings_changed()', 'balance_sync.wallet_balances_repointed()'
    ]::regprocedure[]
    loop
        execute format('revoke all on function %s from public, anon, authenticated, service_role', owned);
        execute format('alter function %s owner to balance_sync_worker', owned);
    end loop;
end
$$;

revoke create on schema balance_sync from balance_sync_worker;


-- From here on addresses have a source, and rows have targets.
do $$
begin
    perform balance_sync.use_address_source(balance_sync.detect_address_source());
end
$$;
