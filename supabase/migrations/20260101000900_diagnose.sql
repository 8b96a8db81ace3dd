-- The diagnosis: what would stop rows from being synced, or make them wrong, and what mends it.


create type balance_sync.diagnosis as (finding text, severity text, detail text, affected bigint, remedy text);


-- "for example a, b, c": the first three of some names, in a sentence.
create function balance_sync.for_example(names text[])
returns text
language sql
immutable
set search_path = ''
as $$
    select case
        when cardinality(names) = 1 then names[1]
        else 'for example ' || array_to_string(names[1:3], ', ')
    end
$$;


-- The first five of some statements, a line each.
create function balance_sync.statements(statements text[])
returns text
language sql
immutable
set search_path = ''
as $$
    select array_to_string(statements.statements[1:5], E'\n') || case
        when cardinality(statements.statements) > 5
            then format(E'\n-- and so on for the other %s', cardinality(statements.statements) - 5)
        else ''
    end
$$;


-- Everything the database can see of itself; no row where all is well.
--
-- finding   a name that stays the same
-- severity  error: rows are not synced, or not rightly; warning: they will not be, or not for long;
--           info: rows stay as they are because somebody wanted it so
-- detail    what was expected and what was found, with examples
-- affected  how many of what the detail speaks of
-- remedy    SQL, or a command; <…> is for the operator to fill in
--
-- Small tables are examined whole. Of a large wallet_balances the parked rows are, up to 5,000, and a
-- sample of about 5,000 others; the detail says so. It changes nothing and takes no lock.
-- What only the outside can see (nodes, contracts, the function) is `deno task doctor`'s.
create function balance_sync.diagnose()
returns table (finding text, severity text, detail text, affected bigint, remedy text)
language plpgsql
stable
security definer
set search_path = ''
set timezone = 'UTC'
set jit = off
as $$
declare
    part text;
    found balance_sync.diagnosis[];
    all_found balance_sync.diagnosis[] := array[]::balance_sync.diagnosis[];
begin
    foreach part in array array['diagnose_schema', 'diagnose_schedule', 'diagnose_chains', 'diagnose_rows', 'diagnose_queue'] loop
        -- Without a table or a view they would only say so once more.
        continue when part in ('diagnose_chains', 'diagnose_rows', 'diagnose_queue') and exists (
            select from unnest(all_found) as f
            where f.finding in ('missing_table', 'missing_column', 'address_source_broken')
        );
        begin
            execute format('select array_agg(d) from balance_sync.%I() as d', part) into found;
            all_found := all_found || coalesce(found, array[]::balance_sync.diagnosis[]);
        exception when others then
            -- A database odd enough to break one part is examined by the others all the same.
            all_found := all_found || (
                'not_examined', 'error', format('%s() ended with: %s', part, sqlerrm), 1,
                'report this as a bug of Balance Sync, with the detail'
            )::balance_sync.diagnosis;
        end;
    end loop;

    return query
    select f.finding, f.severity, f.detail, f.affected, f.remedy
    from unnest(all_found) with ordinality as f (finding, severity, detail, affected, remedy, place)
    order by array_position(array['error', 'warning', 'info'], f.severity), f.place;
end
$$;

revoke all on function balance_sync.for_example(text[]) from public, anon, authenticated, service_role;
revoke all on function balance_sync.statements(text[]) from public, anon, authenticated, service_role;
revoke all on function balance_sync.diagnose() from public, anon, authenticated, service_role;
