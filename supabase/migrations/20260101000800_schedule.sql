-- The schedule: two pg_cron jobs. All functions here are for the database's owner alone and run as
-- the role that applied the migrations, so that whoever calls them, the jobs have one owner.


-- Both extensions where the server offers them. Where they cannot be had, the migrations still
-- apply: rows are then synced by whoever calls the function, and balance_sync_status() says why.
do $$
begin
    if to_regclass('cron.job') is null
        and exists (select from pg_catalog.pg_available_extensions as e where e.name = 'pg_cron')
    then
        begin
            create extension pg_cron with schema pg_catalog;
        exception when others then
            raise notice 'pg_cron was not installed: %', sqlerrm;
        end;
    end if;
    if to_regclass('net.http_request_queue') is null
        and exists (select from pg_catalog.pg_available_extensions as e where e.name = 'pg_net')
    then
        begin
            create extension pg_net with schema extensions;
        exception when others then
            raise notice 'pg_net was not installed: %', sqlerrm;
        end;
    end if;
end
$$;


-- Runs dispatch() every so often, and prune() every ten minutes. Called again it changes how often;
-- a job that an operator has paused (cron.alter_job(…, active := false)) stays paused.
--
-- every  '1 second' to '59 seconds', or five cron fields ('*/5 * * * *'; UTC). Before pg_cron 1.5
--        there are no seconds: '* * * * *' is taken for them, with a notice.
--
-- Returns the schedule in force.
-- Errors: 22023 for any other `every`, 55000 without pg_cron.
create function balance_sync.schedule(every text default '30 seconds')
returns text
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    seconds constant text := '^([1-9]|[1-5][0-9]) seconds?$';
    cron_fields constant text := '^\S+( \S+){4}$';
    wanted text := lower(regexp_replace(btrim(coalesce(schedule.every, '')), '\s+', ' ', 'g'));
    version integer[];
begin
    if wanted !~ seconds and wanted !~ cron_fields then
        raise exception 'Cannot schedule Balance Sync: expected "1 second" to "59 seconds" or five cron fields, found %',
            coalesce(quote_literal(schedule.every), 'null')
            using errcode = '22023', hint = 'Every minute is ''* * * * *'', every five minutes ''*/5 * * * *''.';
    end if;
    if to_regclass('cron.job') is null then
        raise exception 'Cannot schedule Balance Sync: expected the extension pg_cron, found none'
            using errcode = '55000', hint = 'Enable it under Integrations in the dashboard, or: create extension pg_cron with schema pg_catalog;';
    end if;

    -- '1.6', '1.6.4' or '1.4-1', depending on the packaging
    select string_to_array(substring(e.extversion from '^[0-9]+(?:\.[0-9]+)*'), '.')::integer[]
    into version
    from pg_catalog.pg_extension as e
    where e.extname = 'pg_cron';
    if wanted ~ seconds and version < array[1, 5] then
        raise notice 'pg_cron % knows no seconds: Balance Sync runs every minute instead of every %',
            array_to_string(version, '.'), wanted;
        wanted := '* * * * *';
    end if;

    perform cron.schedule('balance-sync', wanted, 'select balance_sync.dispatch()');
    perform cron.schedule('balance-sync-prune', '*/10 * * * *', 'select balance_sync.prune()');
    return wanted;
end
$$;


-- Removes both jobs and returns how many there were. Without jobs, or without pg_cron, that is 0.
create function balance_sync.unschedule()
returns integer
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    removed integer := 0;
begin
    if to_regclass('cron.job') is not null then
        -- By id, since cron.unschedule(name) raises where there is no such job. One at a time, lest
        -- the job somebody else is just removing be found here and missed there.
        perform pg_advisory_xact_lock(hashtext('balance_sync.unschedule'));
        select count(cron.unschedule(j.jobid))::integer
        into removed
        from cron.job as j
        where j.jobname in ('balance-sync', 'balance-sync-prune')
          and j.username = current_user;
    end if;
    return removed;
end
$$;


-- What the two jobs leave behind, deleted when it is older than settings.retain_runs (the ledger and
-- pg_cron's own record of our jobs) or settings.retain_balance_changes. Returns how many rows went.
-- One call takes five seconds at most and goes on with the rest the next time.
create function balance_sync.prune()
returns integer
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    chunk constant integer := 10000;
    settings balance_sync.settings;
    kept_from bigint;
    pruned integer;
    total integer := 0;
begin
    select * into strict settings from balance_sync.settings;

    delete from balance_sync.runs as r
    where r.id in (
        select o.id
        from balance_sync.runs as o
        where coalesce(o.ended_at, o.heartbeat_at, o.queued_at) < now() - settings.retain_runs
        limit chunk
        for update skip locked
    );
    get diagnostics pruned = row_count;
    total := total + pruned;

    if to_regclass('cron.job_run_details') is not null then
        -- A job that was killed has no end, and one that never got started no times at all: that one
        -- is as old as its neighbours.
        select min(d.runid)
        into kept_from
        from cron.job_run_details as d
        where coalesce(d.end_time, d.start_time) >= now() - settings.retain_runs;

        delete from cron.job_run_details as d
        where d.runid in (
            select o.runid
            from cron.job_run_details as o
            where o.command in ('select balance_sync.dispatch()', 'select balance_sync.prune()')
              and o.username = current_user
              and case
                  when coalesce(o.end_time, o.start_time) is null then o.runid < kept_from
                  else coalesce(o.end_time, o.start_time) < now() - settings.retain_runs
              end
            limit chunk
        );
        get diagnostics pruned = row_count;
        total := total + pruned;
    end if;

    -- The lowest ids are the oldest changes, so that the primary key finds them at any table size.
    loop
        delete from balance_sync.balance_changes as c
        where c.id in (
            select o.id
            from (
                select n.id, n.changed_at
                from balance_sync.balance_changes as n
                order by n.id
                limit chunk
            ) as o
            where o.changed_at < now() - settings.retain_balance_changes
        );
        get diagnostics pruned = row_count;
        total := total + pruned;
        exit when pruned < chunk or clock_timestamp() > now() + interval '5 seconds';
    end loop;
    return total;
end
$$;


revoke all on function balance_sync.schedule(text) from public, anon, authenticated, service_role;
revoke all on function balance_sync.unschedule() from public, anon, authenticated, service_role;
revoke all on function balance_sync.prune() from public, anon, authenticated, service_role;
