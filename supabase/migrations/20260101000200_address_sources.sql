-- wallet_id -> address, resolved in one place: the view wallet_addresses, which use_address_source()
-- defines over one of four sources, with the triggers that notice a mended address there.


-- The four sources: the table each reads, the column by which it names a wallet, all addresses in it
-- (a query for wallet_id, chain_id, address, is_active), and the problem, if any, that keeps it from
-- being used here. An is_active is heeded wherever the table has one; a wallet without a chain has
-- its address on all.
create function balance_sync.address_sources()
returns table (place integer, source text, table_name text, wallet_key text, addresses text, problem text)
language sql
stable
set search_path = ''
as $$
    with needed (place, source, table_name, column_name, type, is_optional) as (
        values
            (1, 'user_wallet_addresses', 'user_wallet_addresses', 'wallet_id', 'uuid', false),
            (1, 'user_wallet_addresses', 'user_wallet_addresses', 'chain_id', 'uuid', false),
            (1, 'user_wallet_addresses', 'user_wallet_addresses', 'address', 'text', false),
            (1, 'user_wallet_addresses', 'user_wallet_addresses', 'is_active', 'boolean', false),
            (2, 'user_wallet_addresses_by_id', 'user_wallet_addresses', 'id', 'uuid', false),
            (2, 'user_wallet_addresses_by_id', 'user_wallet_addresses', 'chain_id', 'uuid', false),
            (2, 'user_wallet_addresses_by_id', 'user_wallet_addresses', 'address', 'text', false),
            (2, 'user_wallet_addresses_by_id', 'user_wallet_addresses', 'is_active', 'boolean', true),
            (3, 'wallets', 'wallets', 'id', 'uuid', false),
            (3, 'wallets', 'wallets', 'address', 'text', false),
            (3, 'wallets', 'wallets', 'chain_id', 'uuid', true),
            (3, 'wallets', 'wallets', 'is_active', 'boolean', true),
            (4, 'wallet_balances', 'wallet_balances', 'address', 'text', false)
    ),
    found as (
        select
            n.*,
            r.relkind,
            a.attname is not null as is_there,
            case
                when r.oid is null then format('expected table public.%s, found none', n.table_name)
                when r.relkind not in ('r', 'p') then format('expected public.%s to be a table, found something else', n.table_name)
                when a.attname is null and not n.is_optional
                    then format('expected column public.%s.%s of type %s, found none', n.table_name, n.column_name, n.type)
                when case n.type when 'text' then t.typcategory <> 'S' else t.typname <> case n.type when 'boolean' then 'bool' else n.type end end
                    then format('expected column public.%s.%s of type %s, found %s', n.table_name, n.column_name, n.type, format_type(a.atttypid, a.atttypmod))
            end as problem
        from needed as n
        left join pg_catalog.pg_class as r on r.oid = to_regclass('public.' || n.table_name)
        left join pg_catalog.pg_attribute as a on a.attrelid = r.oid and a.attname = n.column_name and not a.attisdropped
        left join pg_catalog.pg_type as t on t.oid = a.atttypid
    ),
    sources as (
        select
            f.place,
            f.source,
            f.table_name,
            coalesce(bool_or(f.is_there) filter (where f.column_name = 'is_active'), false) as has_is_active,
            coalesce(bool_or(f.is_there) filter (where f.column_name = 'chain_id'), false) as has_chain_id,
            min(f.problem) as problem
        from found as f
        group by f.place, f.source, f.table_name
    )
    select
        s.place,
        s.source,
        s.table_name,
        case s.source when 'user_wallet_addresses' then 'wallet_id' when 'wallet_balances' then null else 'id' end,
        case
            when s.source = 'wallet_balances' then
                'select b.wallet_id, a.chain_id, b.address::text as address, true as is_active'
                ' from public.wallet_balances as b'
                ' join public.asset_on_chain as a on a.id = b.asset_on_chain_id'
            else format(
                'select w.%s as wallet_id, %s as chain_id, w.address::text as address, %s as is_active from public.%s as w%s',
                case s.source when 'user_wallet_addresses' then 'wallet_id' else 'id' end,
                case s.source when 'wallets' then 'c.id' else 'w.chain_id' end,
                case when s.has_is_active then 'w.is_active' else 'true' end,
                s.table_name,
                case
                    when s.source <> 'wallets' then ''
                    when s.has_chain_id then ' join public.chains as c on w.chain_id = c.id or w.chain_id is null'
                    else ' cross join public.chains as c'
                end
            )
        end,
        s.problem
    from sources as s
$$;


-- The source in force; null when the view is gone.
create function balance_sync.address_source()
returns text
language sql
stable
set search_path = ''
as $$
    select substring(
        obj_description(to_regclass('balance_sync.wallet_addresses'), 'pg_class')
        from 'address source: ([a-z_]+)'
    )
$$;


-- How many of some balance rows each usable source has an address for.
create function balance_sync.resolved_by_source(wallet_balance_ids uuid[])
returns table (source text, resolved bigint)
language plpgsql
stable
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
    candidate record;
begin
    for candidate in select * from balance_sync.address_sources() as s where s.problem is null order by s.place loop
        source := candidate.source;
        execute format(
            case candidate.source
                when 'wallet_balances' then
                    'select count(*) from unnest($1) as i (id) join public.wallet_balances as b on b.id = i.id where b.address <> '''''
                else $query$
                    with rows as materialized (
                        select b.wallet_id, a.chain_id
                        from unnest($1) as i (id)
                        join public.wallet_balances as b on b.id = i.id
                        join public.asset_on_chain as a on a.id = b.asset_on_chain_id
                    )
                    select count(*)
                    from rows as r
                    where exists (
                        select from (%s) as s
                        where s.wallet_id = r.wallet_id and s.chain_id = r.chain_id and s.is_active and s.address <> ''
                    )
                $query$
            end,
            candidate.addresses
        )
            into resolved
            using resolved_by_source.wallet_balance_ids;
        return next;
    end loop;
end
$$;


-- The usable source that has an address for most of a sample of rows (the pages of about 5,000 of
-- them, so that a large table takes no longer than a small one); the first of the contract's table
-- among equals. Where none has any, because there are no rows yet, what the schema shows: a foreign
-- key, then addresses in the table, then a table or column that is there because the user made it.
create function balance_sync.detect_address_source()
returns text
language plpgsql
stable
set search_path = ''
as $$
declare
    sampled uuid[];
    candidate record;
    has_rows boolean;
    hint integer;
    best_hint integer := -1;
    detected text;
begin
    execute format(
        'select array_agg(b.id) from public.wallet_balances as b tablesample system (%s) repeatable (0)',
        least(100, 10000.0 / greatest(pg_relation_size('public.wallet_balances') / 8192, 1))
    ) into sampled;

    select r.source
    into detected
    from balance_sync.resolved_by_source(sampled) as r
    join balance_sync.address_sources() as s on s.source = r.source
    where r.resolved > 0
    order by r.resolved desc, s.place
    limit 1;
    if detected is not null then
        return detected;
    end if;

    for candidate in select * from balance_sync.address_sources() as s where s.problem is null order by s.place loop
        execute format('select exists (select from public.%I as s where s.address is not null)', candidate.table_name) into has_rows;
        hint := case
            when candidate.wallet_key = 'id' and exists (
                select
                from pg_catalog.pg_constraint as c
                join pg_catalog.pg_attribute as a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
                where c.contype = 'f'
                  and c.conrelid = 'public.wallet_balances'::regclass
                  and c.confrelid = to_regclass('public.' || candidate.table_name)
                  and a.attname = 'wallet_id'
            ) then 3
            when candidate.source = 'user_wallet_addresses_by_id' then 0
            when has_rows then 2
            when obj_description(to_regclass('public.' || candidate.table_name), 'pg_class') = 'Made by Balance Sync; yours to keep.' then 0
            else 1
        end;
        if hint > best_hint then
            best_hint := hint;
            detected := candidate.source;
        end if;
    end loop;
    return coalesce(detected, 'user_wallet_addresses');
end
$$;


-- Rows of wallets whose address on a chain has changed (a null chain: on any). What a worker reads of
-- them just now belongs to the old address, so they lose their lease; they are due at once, parked,
-- backing off or not. park() waits for this lock: see there.
create function balance_sync.readdress(wallet_ids uuid[], chain_ids uuid[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    readdressed uuid[];
begin
    lock table balance_sync.unparking in row exclusive mode;
    -- All their rows, leased or not: a claim in flight is waited for and its lease then seen, and a later
    -- one passes them by until this transaction commits. In the table's order, as a record locks its
    -- rows: the two never wait in a circle. Planned for each call, because it may be for one address or
    -- for a million.
    execute $lock$
        select array_agg(l.id)
        from (
            select b.id
            from (select distinct * from unnest($1, $2) as n (wallet_id, chain_id)) as w
            join public.wallet_balances as b on b.wallet_id = w.wallet_id
            left join public.asset_on_chain as a on a.id = b.asset_on_chain_id
            where w.chain_id is null or a.chain_id = w.chain_id
            order by b.ctid
            for no key update of b
        ) as l
    $lock$ into readdressed using readdress.wallet_ids, readdress.chain_ids;

    execute $update$
        update public.wallet_balances as b
        set next_sync_at = now(), on_chain_block = null, processing_status = 'idle', locked_until = null, locked_by = null
        from unnest($1) as r (id)
        where b.id = r.id
          and (b.next_sync_at is null or b.next_sync_at > now() or b.locked_until is not null or b.on_chain_block is not null)
    $update$ using readdressed;
end
$$;


-- The trigger's argument is the column that names the wallet. Changes of other columns than the
-- address, its chain or whether it is active are nobody's business here.
create function balance_sync.addresses_changed()
returns trigger
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    wallet_ids uuid[];
    chain_ids uuid[];
begin
    if tg_op = 'INSERT' then
        select array_agg((to_jsonb(n) ->> tg_argv[0])::uuid), array_agg((to_jsonb(n) ->> 'chain_id')::uuid)
        into wallet_ids, chain_ids
        from new_rows as n;
    elsif tg_op = 'DELETE' then
        select array_agg((to_jsonb(o) ->> tg_argv[0])::uuid), array_agg((to_jsonb(o) ->> 'chain_id')::uuid)
        into wallet_ids, chain_ids
        from old_rows as o;
    else
        with before as (
            select r.j ->> tg_argv[0] as wallet_id, r.j ->> 'chain_id' as chain_id, r.j ->> 'address' as address, r.j ->> 'is_active' as is_active
            from (select to_jsonb(o) as j from old_rows as o) as r
        ),
        after as (
            select r.j ->> tg_argv[0] as wallet_id, r.j ->> 'chain_id' as chain_id, r.j ->> 'address' as address, r.j ->> 'is_active' as is_active
            from (select to_jsonb(n) as j from new_rows as n) as r
        )
        select array_agg(c.wallet_id::uuid), array_agg(c.chain_id::uuid)
        into wallet_ids, chain_ids
        from (
            (table before except table after)
            union
            (table after except table before)
        ) as c;
    end if;
    if wallet_ids is not null then
        perform balance_sync.readdress(wallet_ids, chain_ids);
    end if;
    return null;
end
$$;


-- Makes a source the one in force: defines wallet_addresses and targets, lets the worker read the
-- table, and moves the triggers there. Rows without an address under the old source are looked at
-- again, and what is being read just now is dropped, for it may be another address's balance.
--
-- source  user_wallet_addresses, user_wallet_addresses_by_id, wallets or wallet_balances
--
-- Errors: 22023 for any other, and for one whose table or column is missing or of another type.
create function balance_sync.use_address_source(source text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    chosen record;
    old_source text := balance_sync.address_source();
    stale record;
begin
    select * into chosen from balance_sync.address_sources() as s where s.source = use_address_source.source;
    if not found then
        raise exception 'Cannot use the address source %: expected user_wallet_addresses, user_wallet_addresses_by_id, wallets or wallet_balances',
            coalesce(quote_literal(use_address_source.source), 'null')
            using errcode = '22023';
    elsif chosen.problem is not null then
        raise exception 'Cannot use the address source "%": %', chosen.source, chosen.problem
            using errcode = '22023', hint = coalesce(
                'Usable here: ' || (select string_agg(s.source, ', ' order by s.place) from balance_sync.address_sources() as s where s.problem is null),
                'None of the four can be used here.'
            );
    end if;

    execute format(
        'create or replace view balance_sync.wallet_addresses as select s.wallet_id, s.chain_id, s.address from (%s) as s where s.is_active',
        chosen.addresses
    );
    execute format(
        'comment on view balance_sync.wallet_addresses is %L',
        'Which address a wallet has on a chain; address source: ' || chosen.source
    );

    -- Every balance row with what it takes to read it, and why it cannot be read if it cannot.
    -- row_at is the row's ctid: a caller that has locked the row finds it again without an index.
    -- An address in the balance row itself is that row's and no other's. Two spellings of one
    -- address, which differ by case alone, are not two addresses.
    execute format($view$
        create or replace view balance_sync.targets as
        select
            b.ctid as row_at,
            b.id,
            b.wallet_id,
            b.asset_on_chain_id,
            a.chain_id,
            a.asset_id,
            a.is_native,
            nullif(a.contract_address::text, '') as contract_address,
            a.decimals::integer as decimals,
            w.address,
            case
                when a.id is null then 'asset_missing'
                when c.id is null then 'chain_missing'
                when c.is_active is not true then 'chain_inactive'
                when a.is_active is not true then 'asset_inactive'
                when w.address is null then 'address_missing'
                when w.is_ambiguous then 'ambiguous_address'
                when a.is_native is not true and coalesce(a.contract_address, '') = '' then 'missing_contract_address'
            end as parked_because
        from public.wallet_balances as b
        left join public.asset_on_chain as a on a.id = b.asset_on_chain_id
        left join public.chains as c on c.id = a.chain_id
        left join lateral (%s) as w on true
    $view$, case chosen.source
        when 'wallet_balances' then 'select nullif(b.address::text, '''') as address, false as is_ambiguous'
        else $lateral$
            select min(s.address) as address, min(lower(s.address)) <> max(lower(s.address)) as is_ambiguous
            from balance_sync.wallet_addresses as s
            where s.wallet_id = b.wallet_id
              and s.chain_id = a.chain_id
              and s.address <> ''
        $lateral$
    end);
    comment on view balance_sync.targets is 'wallet_balances with address, asset and chain; parked_because is null where the row can be synced.';
    grant select on balance_sync.wallet_addresses, balance_sync.targets to balance_sync_worker;

    for stale in
        select t.tgname as name, t.tgrelid::regclass as on_table
        from pg_catalog.pg_trigger as t
        where t.tgname like 'balance\_sync\_addresses\_%'
    loop
        execute format('drop trigger %I on %s', stale.name, stale.on_table);
    end loop;
    if chosen.source = 'wallet_balances' then
        create trigger balance_sync_addresses_updated
            before update of address on public.wallet_balances
            for each row
            when (new.address is distinct from old.address)
            execute function balance_sync.wallet_balances_repointed();
    else
        execute format($triggers$
            create trigger balance_sync_addresses_inserted
                after insert on public.%1$I
                referencing new table as new_rows
                for each statement execute function balance_sync.addresses_changed(%2$L);
            create trigger balance_sync_addresses_updated
                after update on public.%1$I
                referencing old table as old_rows new table as new_rows
                for each statement execute function balance_sync.addresses_changed(%2$L);
            create trigger balance_sync_addresses_deleted
                after delete on public.%1$I
                referencing old table as old_rows
                for each statement execute function balance_sync.addresses_changed(%2$L);
        $triggers$, chosen.table_name, chosen.wallet_key);
    end if;

    -- The seeds' own tables are in adopt()'s care.
    if to_regclass('public.wallets') is not null then
        execute 'drop policy if exists balance_sync_worker_reads on public.wallets';
        execute 'revoke all on public.wallets from balance_sync_worker';
    end if;
    if chosen.source = 'wallets' then
        execute 'grant select on public.wallets to balance_sync_worker';
        if exists (select from pg_catalog.pg_class as c where c.oid = to_regclass('public.wallets') and c.relrowsecurity) then
            execute 'create policy balance_sync_worker_reads on public.wallets for select to balance_sync_worker using (true)';
        end if;
    end if;

    if old_source is distinct from chosen.source then
        update public.wallet_balances as b
        set next_sync_at = least(b.next_sync_at, now()), processing_status = 'idle', locked_until = null, locked_by = null
        where b.locked_until > now()
           or (b.consecutive_errors > 0 and b.next_sync_at > now());
        perform balance_sync.request_unparking(array(select a.id from public.asset_on_chain as a));
    end if;
end
$$;


grant create on schema balance_sync to balance_sync_worker;

do $$
declare
    owned regprocedure;
begin
    foreach owned in array array['balance_sync.readdress(uuid[], uuid[])', 'balance_sync.addresses_changed()']::regprocedure[] loop
        execute format('revoke all on function %s from public, anon, authenticated, service_role', owned);
        execute format('alter function %s owner to balance_sync_worker', owned);
    end loop;
    foreach owned in array array[
        'balance_sync.address_sources()', 'balance_sync.address_source()', 'balance_sync.resolved_by_source(uuid[])',
        'balance_sync.detect_address_source()', 'balance_sync.use_address_source(text)'
    ]::regprocedure[]
    loop
        execute format('revoke all on function %s from public, anon, authenticated, service_role', owned);
    end loop;
end
$$;

revoke create on schema balance_sync from balance_sync_worker;
