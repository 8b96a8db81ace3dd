-- What the installation needs of the schema: tables, columns, indexes, triggers, views, rights.
create function balance_sync.diagnose_schema()
returns setof balance_sync.diagnosis
language plpgsql
stable
set search_path = ''
as $$
declare
    found_source text := balance_sync.address_source();
    source record;
begin
    return query
    select
        'missing_table',
        'error',
        format('expected table public.%s, found none', t.name),
        1::bigint,
        'select balance_sync.adopt();'
    from unnest(array['chains', 'asset_on_chain', 'wallet_balances']) as t (name)
    where to_regclass('public.' || t.name) is null;

    return query
    select
        case m.found when 'none' then 'missing_column' else 'mistyped_column' end,
        case when m.is_fatal then 'error' else 'warning' end,
        format('expected column public.%s.%s of type %s, found %s', m.table_name, m.column_name, m.expected, m.found)
            || case
                when m.is_fatal then ''
                when m.expected = 'numeric' and m.found like 'numeric%' then ': balances are rounded, and one with too many digits is that row''s error'
                when m.expected = 'numeric' then ': balances are rounded'
                when m.expected = 'integer' then ': counting ends at 32,767'
                else ': its times are UTC and do not say so'
            end,
        1::bigint,
        case
            when m.found = 'none' then format('alter table public.%I add column %I %s;', m.table_name, m.column_name, m.expected)
            when m.expected = 'uuid' then 'restore the column as it was: Balance Sync identifies rows by uuid'
            when m.column_name = 'processing_status' and t.typtype = 'e' then
                format('alter type %1$s add value if not exists ''idle''; alter type %1$s add value if not exists ''processing'';', m.found)
            else format(
                'alter table public.%I alter column %I type %s using %s;',
                m.table_name, m.column_name, m.expected,
                case m.found
                    when 'timestamp without time zone' then format('%I at time zone ''UTC''', m.column_name)
                    else format('%I::%s', m.column_name, m.expected)
                end
            )
        end
    from balance_sync.misfits() as m
    left join pg_catalog.pg_type as t on t.oid = to_regtype(nullif(m.found, 'none'));

    return query
    select
        'missing_column',
        'error',
        format('expected column public.wallet_balances.%s, which Balance Sync adds, found none', c.name),
        1::bigint,
        'select balance_sync.adopt();'
    from unnest(array['next_sync_at', 'consecutive_errors', 'on_chain_block', 'sync_lane']) as c (name)
    where to_regclass('public.wallet_balances') is not null
      and c.name <> all (balance_sync.written_columns());

    select * into source from balance_sync.address_sources() as s where s.source = found_source;
    if found_source is null or to_regclass('balance_sync.targets') is null or source.problem is not null then
        return next (
            'address_source_broken',
            'error',
            case
                when source.problem is not null then format('addresses come from "%s": %s', found_source, source.problem)
                else 'expected the views balance_sync.wallet_addresses and balance_sync.targets, found them dropped'
            end,
            1,
            'select balance_sync.adopt(); select balance_sync.use_address_source(balance_sync.detect_address_source());'
        )::balance_sync.diagnosis;
    end if;

    return query
    select
        'missing_index',
        case when w.index_name = 'wallet_balances_due' then 'error' else 'warning' end,
        case
            when to_regclass('public.' || w.index_name) is null then format('expected an index %s, found none: look-ups read the whole table', w.definition)
            else format('expected a valid index %s, found one whose building failed', w.index_name)
        end,
        1::bigint,
        case
            when to_regclass('public.' || w.index_name) is null then format('create index concurrently %s;', w.definition)
            else format('reindex index concurrently public.%I;', w.index_name)
        end
    from balance_sync.wanted_indexes() as w
    where not w.is_there;

    if source.wallet_key = 'id' and not exists (
        select
        from pg_catalog.pg_index as i
        join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = to_regclass('public.' || source.table_name)
          and i.indisvalid
          and i.indpred is null
          and a.attname = 'id'
    ) then
        return next (
            'missing_index', 'warning',
            format('expected an index on public.%s (id), found none: look-ups read the whole table', source.table_name),
            1,
            format('create index concurrently on public.%I (id);', source.table_name)
        )::balance_sync.diagnosis;
    end if;

    return query
    with wanted as (
        select w.trigger_name, w.on_table, w.definition
        from balance_sync.wanted_triggers() as w
        union all
        select
            'balance_sync_addresses_' || e.name,
            'public.' || source.table_name,
            format('select balance_sync.use_address_source(%L);', found_source)
        from unnest(case found_source when 'wallet_balances' then array['updated'] else array['inserted', 'updated', 'deleted'] end) as e (name)
        where found_source is not null
    )
    select
        'missing_trigger',
        'error',
        format(
            'expected trigger %s on %s, found %s: changes there go unnoticed, and parked rows do not come back',
            w.trigger_name, w.on_table, case when t.oid is null then 'none' else 'it disabled' end
        ),
        1::bigint,
        case
            when t.oid is null then w.definition
            else format('alter table %s enable trigger %I;', w.on_table, w.trigger_name)
        end
    from wanted as w
    left join pg_catalog.pg_trigger as t on t.tgrelid = to_regclass(w.on_table) and t.tgname = w.trigger_name
    where to_regclass(w.on_table) is not null
      and (t.oid is null or t.tgenabled not in ('O', 'A'));

    return query
    with needed (on_table, column_name, privilege) as (
        select t.name, null, 'select'
        from unnest(array['public.chains', 'public.asset_on_chain', 'public.wallet_balances', 'balance_sync.targets', 'balance_sync.wallet_addresses']) as t (name)
        union all
        select 'public.wallet_balances', w.name, 'update'
        from unnest(balance_sync.written_columns()) as w (name)
    ),
    lacking as (
        select n.*
        from needed as n
        where to_regclass(n.on_table) is not null
          and not case
              when n.column_name is null then has_table_privilege('balance_sync_worker', to_regclass(n.on_table), n.privilege)
              else has_column_privilege('balance_sync_worker', to_regclass(n.on_table), n.column_name, n.privilege)
          end
    )
    select
        'worker_lacks_privilege',
        'error',
        format(
            'expected role balance_sync_worker to have its rights, found it lacks %s',
            string_agg(format('%s on %s', l.privilege, coalesce(l.on_table || '.' || l.column_name, l.on_table)), ', ' order by l.on_table, l.column_name)
        ),
        count(*),
        case
            when bool_or(l.on_table like 'balance_sync.%') then format('select balance_sync.use_address_source(%L);', found_source)
            else 'select balance_sync.adopt();'
        end
    from lacking as l
    group by l.on_table like 'balance_sync.%';

    return query
    select
        'rls_hides_rows',
        'error',
        format('expected a policy that lets balance_sync_worker %s public.%s, which has row level security, found none', n.what, c.relname),
        1::bigint,
        'select balance_sync.adopt();'
    from pg_catalog.pg_class as c
    cross join (values ('read', 'r'), ('update', 'w')) as n (what, command)
    where c.relnamespace = 'public'::regnamespace
      and (c.relname in ('chains', 'asset_on_chain', 'wallet_balances') and n.command = 'r' or c.relname = 'wallet_balances')
      and c.relrowsecurity
      and not exists (
          select
          from pg_catalog.pg_policy as p
          where p.polrelid = c.oid
            and p.polpermissive
            and p.polcmd in ('*', n.command::"char")
            and (p.polroles = '{0}' or 'balance_sync_worker'::regrole = any (p.polroles))
      );

    return query
    select
        'rls_hides_rows',
        'warning',
        format('expected no restrictive policy for balance_sync_worker on public.%s, found "%s": rows it hides are not synced', c.relname, p.polname),
        1::bigint,
        format('alter policy %I on public.%I to anon, authenticated;', p.polname, c.relname)
    from pg_catalog.pg_policy as p
    join pg_catalog.pg_class as c on c.oid = p.polrelid
    where c.relnamespace = 'public'::regnamespace
      and c.relname in ('chains', 'asset_on_chain', 'wallet_balances', source.table_name)
      and c.relrowsecurity
      and not p.polpermissive
      and p.polcmd in ('*', 'r', 'w')
      and pg_get_expr(p.polqual, p.polrelid) <> 'true'
      and (p.polroles = '{0}' or 'balance_sync_worker'::regrole = any (p.polroles));

    return query
    select
        'exposed_function',
        'error',
        format('expected service_role alone to execute %s, found %s may', p.oid::regprocedure, string_agg(r.name, ', ' order by r.name)),
        count(*),
        format('revoke all on function %s from public, anon, authenticated;', p.oid::regprocedure)
    from pg_catalog.pg_proc as p
    cross join unnest(array['anon', 'authenticated']) as r (name)
    where p.pronamespace = 'public'::regnamespace
      and p.proname in ('claim_wallet_balances', 'record_wallet_balances', 'release_wallet_balances', 'balance_sync_status')
      and to_regrole(r.name) is not null
      and has_function_privilege(r.name, p.oid, 'execute')
    group by p.oid;

    return query
    select
        'function_not_callable',
        'error',
        format('expected service_role to execute %s, found it may not', p.oid::regprocedure),
        1::bigint,
        format('grant execute on function %s to service_role;', p.oid::regprocedure)
    from pg_catalog.pg_proc as p
    where p.pronamespace = 'public'::regnamespace
      and p.proname in ('claim_wallet_balances', 'record_wallet_balances', 'release_wallet_balances', 'balance_sync_status')
      and not has_function_privilege('service_role', p.oid, 'execute');
end
$$;

revoke all on function balance_sync.diagnose_schema() from public, anon, authenticated, service_role;
