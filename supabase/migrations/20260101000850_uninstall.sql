-- Takes Balance Sync out of the database again.


-- Removes everything that is ours, in one transaction: jobs, functions, triggers, policies, grants,
-- the four columns, our indexes, the Vault secrets, the schema with settings, ledger and history, the
-- entries of the migration history (so that a later `supabase db push` starts anew), and the role
-- unless another database of the server uses it too. The tables and every balance in them stay, also
-- tables that the migrations made; so do the extensions. What is being read just now is lost.
--
-- Errors: 2BP01 and nothing removed while something of the user's (a view, a foreign key) depends on
-- what would go.
create function balance_sync.uninstall()
returns void
language plpgsql
volatile
security definer
set search_path = ''
-- a cascade names every object it drops
set client_min_messages = warning
as $$
declare
    found record;
    dependents text;
    history regclass := to_regclass('supabase_migrations.schema_migrations');
begin
    perform balance_sync.unschedule();

    for found in
        select t.tgname, t.tgrelid::regclass as on_table
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        where p.pronamespace = 'balance_sync'::regnamespace
    loop
        execute format('drop trigger %I on %s', found.tgname, found.on_table);
    end loop;

    for found in
        select p.polname, p.polrelid::regclass as on_table
        from pg_catalog.pg_policy as p
        where p.polroles = array['balance_sync_worker'::regrole::oid]
    loop
        execute format('drop policy %I on %s', found.polname, found.on_table);
    end loop;

    for found in
        select i.indexrelid::regclass as name
        from pg_catalog.pg_index as i
        where obj_description(i.indexrelid, 'pg_class') = 'Balance Sync: for its look-ups'
    loop
        execute format('drop index %s', found.name);
    end loop;

    -- Dropping the schema would drop what others have built on it without asking.
    select string_agg(distinct pg_catalog.pg_describe_object(d.classid, d.objid, 0), ', ')
    into dependents
    from pg_catalog.pg_depend as d
    cross join lateral pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0) as ours
    cross join lateral pg_catalog.pg_identify_object(d.classid, d.objid, 0) as dependent
    where d.deptype = 'n'
      and ours.schema = 'balance_sync'
      and dependent.schema is distinct from 'balance_sync'
      and dependent.identity !~ ' on balance_sync\.';
    if dependents is not null then
        raise exception 'Cannot uninstall Balance Sync: expected nothing to depend on it, found %', dependents
            using errcode = '2BP01', hint = 'Drop these first. Nothing was removed.';
    end if;

    update public.wallet_balances as b
    set processing_status = 'idle', locked_until = null, locked_by = null
    where b.locked_by is not null;

    if to_regclass('net.http_request_queue') is not null then
        delete from net.http_request_queue as q
        where q.id in (
            select w.id
            from net.http_request_queue as w
            where w.headers ? 'x-balance-sync-run'
            for update skip locked
        );
    end if;
    if to_regclass('cron.job_run_details') is not null then
        delete from cron.job_run_details as d
        where d.command in ('select balance_sync.dispatch()', 'select balance_sync.prune()')
          and d.username = current_user;
    end if;
    if to_regclass('vault.secrets') is not null then
        delete from vault.secrets as s where s.name in ('balance_sync_url', 'balance_sync_secret');
    end if;
    if history is not null then
        execute format(
            'delete from %s as m where m.version between %L and %L and array_to_string(m.statements, %L) like %L',
            history, '20260101000100', '20260101000999', ' ', '%balance_sync%'
        );
    end if;

    -- The functions it owns, and what it was granted.
    drop owned by balance_sync_worker;
    drop schema balance_sync cascade;
    alter table public.wallet_balances
        drop column next_sync_at,
        drop column consecutive_errors,
        drop column on_chain_block,
        drop column sync_lane;

    begin
        drop role balance_sync_worker;
    exception when dependent_objects_still_exist or insufficient_privilege then
        raise warning 'The role balance_sync_worker was kept: %', sqlerrm;
    end;
end
$$;

revoke all on function balance_sync.uninstall() from public, anon, authenticated, service_role;
