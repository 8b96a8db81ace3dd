-- Balance rows: those without a usable address, those that wait, and those that fail.


-- The rows to examine: the parked ones, spread over their assets, and the rest or a sample of it.
create function balance_sync.rows_to_examine(out ids uuid[], out is_sample boolean)
language plpgsql
stable
set search_path = ''
set jit = off
as $$
declare
    row_limit constant integer := 5000;
    share double precision := 100.0 * 100 / greatest(pg_relation_size('public.wallet_balances') / 8192, 1);
    parked uuid[];
    others uuid[];
begin
    -- A loose scan of the index of parked rows: from each asset to the next.
    with recursive assets as (
        (
            select b.asset_on_chain_id as id
            from public.wallet_balances as b
            where b.next_sync_at is null
            order by b.asset_on_chain_id
            limit 1
        )
        union all
        select (
            select b.asset_on_chain_id
            from public.wallet_balances as b
            where b.next_sync_at is null and b.asset_on_chain_id > a.id
            order by b.asset_on_chain_id
            limit 1
        )
        from assets as a
        where a.id is not null
    ),
    named as (
        select a.id, count(*) over () as total from assets as a where a.id is not null limit row_limit
    )
    select array_agg(p.id)
    into parked
    from (
        select p.id
        from named as n
        cross join lateral (
            select b.id
            from public.wallet_balances as b
            where b.next_sync_at is null and b.asset_on_chain_id = n.id
            order by b.id
            limit greatest(row_limit / n.total, 20)
        ) as p
        limit row_limit
    ) as p;

    execute format(
        'select array_agg(s.id) from (select b.id from public.wallet_balances as b tablesample system (%s) repeatable (0) where b.next_sync_at is not null limit %s) as s',
        least(share, 100), row_limit
    ) into others;

    ids := coalesce(parked, '{}') || coalesce(others, '{}');
    is_sample := share < 100 or cardinality(parked) >= row_limit or cardinality(others) >= row_limit;
end
$$;


-- What is wrong with some balance rows, refined: an address that is missing may be there but
-- inactive, or belong to another chain. `other_address` is that one, or a second one.
create function balance_sync.row_problems(wallet_balance_ids uuid[], source text, addresses text)
returns table (
    id uuid,
    problem text,
    wallet_id uuid,
    asset_on_chain_id uuid,
    chain_id uuid,
    chain text,
    address text,
    other_address text
)
language plpgsql
stable
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
begin
    return query execute format($query$
        select
            t.id,
            case
                when t.parked_because = 'address_missing' and unused.address is not null then 'address_inactive'
                when t.parked_because = 'address_missing' and elsewhere.address is not null then 'address_on_other_chain'
                when t.parked_because is not null then t.parked_because
                when balance_sync.is_written_for(f.family, t.address) is false then 'address_of_other_family'
                when used.times > 1 then 'duplicate_address'
                else 'parked_without_cause'
            end,
            t.wallet_id,
            t.asset_on_chain_id,
            t.chain_id,
            c.name::text,
            t.address,
            coalesce(used.other_address, unused.address, elsewhere.address)
        from unnest($1) as i (id)
        join balance_sync.targets as t on t.id = i.id
        join public.wallet_balances as b on b.id = i.id
        left join public.chains as c on c.id = t.chain_id
        left join balance_sync.chain_settings as k on k.chain_id = t.chain_id
        cross join lateral (select balance_sync.family_of(c.name, k.adapter)) as f (family)
        left join lateral (
            select count(*) as times, max(s.address) as other_address
            from balance_sync.wallet_addresses as s
            where $2 <> 'wallet_balances'
              and s.wallet_id = t.wallet_id
              and s.chain_id = t.chain_id
              and s.address <> ''
        ) as used on true
        left join lateral (
            select min(s.address) as address
            from (%1$s) as s
            where t.parked_because = 'address_missing'
              and s.wallet_id = t.wallet_id
              and s.chain_id = t.chain_id
              and s.is_active is not true
              and s.address <> ''
        ) as unused on true
        left join lateral (
            select min(s.address) as address
            from (%1$s) as s
            join public.chains as n on n.id = s.chain_id
            left join balance_sync.chain_settings as m on m.chain_id = n.id
            where t.parked_because = 'address_missing'
              and s.wallet_id = t.wallet_id
              and s.chain_id <> t.chain_id
              and s.is_active
              and balance_sync.family_of(n.name, m.adapter) = f.family
              and balance_sync.is_written_for(f.family, s.address)
        ) as elsewhere on true
        where t.parked_because is not null
           or balance_sync.is_written_for(f.family, t.address) is false
           or used.times > 1
           or (b.next_sync_at is null and not exists (
               select from balance_sync.unparking as u where u.asset_on_chain_id = t.asset_on_chain_id
           ))
    $query$, row_problems.addresses) using row_problems.wallet_balance_ids, row_problems.source;
end
$$;


-- The statement that mends one such row, in the words of the source in force.
create function balance_sync.row_remedy(
    problem text,
    source text,
    id uuid,
    wallet_id uuid,
    asset_on_chain_id uuid,
    chain_id uuid,
    chain text,
    address text,
    other_address text
)
returns text
language sql
stable
set search_path = ''
as $$
    select case row_remedy.problem
        when 'asset_missing' then format('delete from public.wallet_balances where asset_on_chain_id = %L;', asset_on_chain_id)
        when 'chain_inactive' then format('update public.chains set is_active = true where id = %L;', chain_id)
        when 'asset_inactive' then format('update public.asset_on_chain set is_active = true where id = %L;', asset_on_chain_id)
        when 'parked_without_cause' then format('insert into balance_sync.unparking (asset_on_chain_id) values (%L) on conflict do nothing;', asset_on_chain_id)
        when 'ambiguous_address' then
            format('update public.%s set is_active = false where %s and address <> ''<the right one: %s or %s>'';', t.name, t.its_row, address, other_address)
        when 'duplicate_address' then format(
            'update public.%1$s set is_active = false where %2$s and ctid <> (select min(k.ctid) from public.%1$s as k where %2$s and is_active);',
            t.name, t.its_row
        )
        when 'address_inactive' then format('update public.%s set is_active = true where %s and address = %L;', t.name, t.its_row, other_address)
        when 'address_of_other_family' then format('update public.%s set address = ''<address on %s>'' where %s and address = %L;', t.name, chain, t.its_row, address)
        when 'address_on_other_chain' then case source
            when 'user_wallet_addresses' then
                format('insert into public.user_wallet_addresses (wallet_id, chain_id, address, is_active) values (%L, %L, %L, true);', wallet_id, chain_id, other_address)
            else format('update public.%s set chain_id = %L where id = %L;', t.name, chain_id, wallet_id)
        end
        when 'address_missing' then case source
            when 'user_wallet_addresses' then
                format('insert into public.user_wallet_addresses (wallet_id, chain_id, address, is_active) values (%L, %L, ''<address on %s>'', true);', wallet_id, chain_id, chain)
            when 'wallet_balances' then format('update public.wallet_balances set address = ''<address on %s>'' where id = %L;', chain, id)
            when 'wallets' then
                format('insert into public.wallets (id, address) values (%L, ''<address on %s>'') on conflict (id) do update set address = excluded.address;', wallet_id, chain)
            else format(
                'insert into public.user_wallet_addresses (id, chain_id, address%2$s) values (%1$L, %3$L, ''<address on %4$s>''%5$s) on conflict (id) do update set address = excluded.address;',
                wallet_id,
                case when has_wallet_id then ', wallet_id' else '' end,
                chain_id,
                chain,
                case when has_wallet_id then format(', %L', wallet_id) else '' end
            )
        end
    end
    from (
        select
            case when source in ('wallet_balances', 'wallets') then source else 'user_wallet_addresses' end,
            case source
                when 'wallet_balances' then format('id = %L', id)
                when 'user_wallet_addresses' then format('wallet_id = %L and chain_id = %L', wallet_id, chain_id)
                else format('id = %L', wallet_id)
            end,
            exists (
                select from pg_catalog.pg_attribute as a
                where a.attrelid = to_regclass('public.user_wallet_addresses') and a.attname = 'wallet_id' and not a.attisdropped
            )
    ) as t (name, its_row, has_wallet_id)
$$;


create function balance_sync.diagnose_rows()
returns setof balance_sync.diagnosis
language plpgsql
stable
set search_path = ''
set jit = off
as $$
declare
    source record;
    examined record;
    of_how_many text;
    better text;
begin
    select * into source from balance_sync.address_sources() as s where s.source = balance_sync.address_source();
    select * into examined from balance_sync.rows_to_examine();
    of_how_many := case when examined.is_sample then format(' (of %s rows examined)', cardinality(examined.ids)) else '' end;

    -- Another source is the remedy if it has addresses for more of all rows, not of the unlucky alone.
    select r.source
    into better
    from (
        select *, max(n.resolved) filter (where n.source = source.source) over () as resolved_now
        from balance_sync.resolved_by_source(examined.ids) as n
    ) as r
    where r.resolved > r.resolved_now
    order by r.resolved desc
    limit 1;

    return query
    with problems as materialized (
        select
            p.*,
            balance_sync.row_remedy(p.problem, source.source, p.id, p.wallet_id, p.asset_on_chain_id, p.chain_id, p.chain, p.address, p.other_address) as statement
        from balance_sync.row_problems(examined.ids, source.source, source.addresses) as p
    )
    select
        w.finding,
        w.severity,
        format(
            '%s%s%s: %s',
            format(w.what, min(p.chain)),
            case when w.is_about_addresses then format(' (addresses come from "%s"%s)', source.source, '; "' || better || '" has some for more rows') end,
            of_how_many,
            balance_sync.for_example(array_agg(p.id::text order by p.id))
        ),
        count(*),
        case
            when w.is_about_addresses and better is not null then format('select balance_sync.use_address_source(%L);', better)
            else balance_sync.statements(array_agg(distinct p.statement))
        end
    from problems as p
    join (values
        ('asset_missing', 'dangling_asset', 'error', 'expected rows to point at an asset_on_chain, found some that do not', false),
        ('address_missing', 'address_missing', 'error', 'expected an address for the wallet of each row, found none', true),
        ('address_on_other_chain', 'address_on_other_chain', 'error', 'expected an address of the wallet on the chain of its row, found one on another chain', true),
        ('address_inactive', 'address_inactive', 'error', 'expected an active address for the wallet of each row, found an inactive one', true),
        ('ambiguous_address', 'ambiguous_address', 'error', 'expected one active address of a wallet on its chain, found several', false),
        ('address_of_other_family', 'address_of_other_family', 'error', 'expected an address as chain %s writes them, found another', false),
        ('parked_without_cause', 'parked_without_cause', 'error', 'expected rows that can be synced to be due, found them parked', false),
        ('duplicate_address', 'duplicate_address', 'warning', 'expected one active address of a wallet on its chain, found the same one several times', false),
        ('chain_inactive', 'chain_inactive', 'info', 'rows rest because chain %s is inactive', false),
        ('asset_inactive', 'asset_inactive', 'info', 'rows rest because their asset on chain %s is inactive', false)
    ) as w (problem, finding, severity, what, is_about_addresses) on w.problem = p.problem
    group by
        w.finding, w.severity, w.what, w.is_about_addresses,
        case when w.problem in ('chain_inactive', 'address_of_other_family') then p.chain_id end,
        case when w.problem = 'asset_inactive' then p.asset_on_chain_id end;
end
$$;

revoke all on function balance_sync.rows_to_examine() from public, anon, authenticated, service_role;
revoke all on function balance_sync.row_problems(uuid[], text, text) from public, anon, authenticated, service_role;
revoke all on function balance_sync.row_remedy(text, text, uuid, uuid, uuid, uuid, text, text, text) from public, anon, authenticated, service_role;
revoke all on function balance_sync.diagnose_rows() from public, anon, authenticated, service_role;
