-- The indexes of the user's tables. A migration is one transaction and cannot build an index
-- concurrently, so whoever writes to a table waits while its index is built, half a second at a
-- million rows. Hence one index a file from here on, after the locks of tables.sql are gone: readers
-- never wait, and writers only for one index at a time. On a table so large that this is too long,
-- add the four columns of adopt() and build these indexes concurrently first: what exists is kept.


-- The indexes the worker looks things up by, and whether there is one that will do: valid, whole
-- (or ours), and led by the same columns. `definition` lacks only `create index`.
create function balance_sync.wanted_indexes()
returns table (index_name text, table_name text, definition text, is_there boolean)
language sql
stable
set search_path = ''
as $$
    select
        n.name,
        w.table_name,
        format('%I on public.%I (%s)%s', n.name, w.table_name, array_to_string(w.columns, ', '), ' where ' || w.predicate),
        exists (
            select
            from pg_catalog.pg_index as i
            where i.indrelid = to_regclass('public.' || w.table_name)
              and i.indisvalid
              and case
                  when w.predicate is null then i.indpred is null
                  else i.indexrelid = to_regclass('public.' || n.name)
              end
              and array(
                  select a.attname::text
                  from unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
                  join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
                  where k.place <= cardinality(w.columns)
                  order by k.place
              ) = w.columns
        )
    from (values
        -- "What next" in index order at any table size; parked rows are not in it.
        ('due', 'wallet_balances', array['sync_lane', 'next_sync_at'], 'next_sync_at is not null'),
        -- Parked rows by what may mend them. Rows in use cost this index nothing.
        ('parked', 'wallet_balances', array['asset_on_chain_id', 'id'], 'next_sync_at is null'),
        -- A wallet's rows, when its address changes or its sync is asked for. Led by the asset it would
        -- cost each record 1.5 ms of 500 rows more: a wallet's rows are recorded together.
        (null, 'wallet_balances', array['wallet_id'], null),
        (null, 'wallet_balances', array['id'], null),
        (null, 'asset_on_chain', array['id'], null),
        (null, 'asset_on_chain', array['chain_id'], null),
        (null, 'asset_on_chain', array['asset_id'], null),
        (null, 'user_wallet_addresses', array['wallet_id', 'chain_id'], null),
        (null, 'user_wallet_addresses', array['chain_id'], null)
    ) as w (purpose, table_name, columns, predicate)
    cross join lateral (select w.table_name || '_' || coalesce(w.purpose, array_to_string(w.columns, '_'))) as n (name)
    where not exists (
        select from unnest(w.columns) as c (name)
        where not exists (
            select from pg_catalog.pg_attribute as a
            where a.attrelid = to_regclass('public.' || w.table_name) and a.attname = c.name and not a.attisdropped
        )
    )
$$;


-- Builds one of them if it is missing. The comment is what uninstall() knows it by.
create function balance_sync.build_index(index_name text)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    wanted record;
begin
    select * into wanted from balance_sync.wanted_indexes() as w where w.index_name = build_index.index_name;
    if wanted.is_there is false then
        execute 'create index ' || wanted.definition;
        execute format('comment on index public.%I is %L', wanted.index_name, 'Balance Sync: for its look-ups');
    end if;
end
$$;

revoke all on function balance_sync.wanted_indexes() from public, anon, authenticated, service_role;
revoke all on function balance_sync.build_index(text) from public, anon, authenticated, service_role;

do $$
begin
    perform balance_sync.build_index('wallet_balances_due');
end
$$;
