-- The schedule: extensions, jobs, secrets, and the runs that were dispatched.
create function balance_sync.diagnose_schedule()
returns setof balance_sync.diagnosis
language plpgsql
stable
set search_path = ''
as $$
declare
    job record;
    failing record;
    target record;
    cron_is_there boolean := to_regprocedure('cron.schedule(text, text, text)') is not null;
    net_is_there boolean := to_regclass('net.http_request_queue') is not null;
    vault_is_there boolean := to_regclass('vault.decrypted_secrets') is not null;
begin
    return query
    select
        'missing_extension',
        'error',
        format('expected the extension %s, found none: %s', e.name, e.without),
        1::bigint,
        e.remedy
    from (values
        ('pg_cron', cron_is_there, 'nothing runs by itself', 'create extension pg_cron with schema pg_catalog;'),
        ('pg_net', net_is_there, 'the function is not called', 'create extension pg_net with schema extensions;'),
        ('supabase_vault', vault_is_there, 'there is no place for the function''s URL and secret', 'create extension supabase_vault with schema vault cascade;')
    ) as e (name, is_there, without, remedy)
    where not e.is_there;

    -- '1.6', '1.6.4' or '1.4-1', depending on the packaging
    return query
    select
        'old_extension',
        'warning',
        format('expected %s %s or newer, found %s: %s', o.name, array_to_string(o.wanted, '.'), e.extversion, o.why),
        1::bigint,
        format(E'alter extension %s update;\n-- where the server has no newer one: upgrade the project''s Postgres', o.name)
    from (values
        ('pg_cron', array[1, 5], 'it knows no seconds, so rows are synced every minute at best'),
        ('pg_net', array[0, 11], 'its requests time out under load')
    ) as o (name, wanted, why)
    join pg_catalog.pg_extension as e on e.extname = o.name
    where string_to_array(substring(e.extversion from '^[0-9]+(?:\.[0-9]+)*'), '.')::integer[] < o.wanted;

    if vault_is_there then
        select * into target from balance_sync.dispatch_target();
        return query
        select
            'vault_secret_missing',
            'error',
            format('expected the Vault secret %s, %s, found none', s.name, s.meaning),
            1::bigint,
            format('select vault.create_secret(%L, %L);', '<' || s.meaning || '>', s.name)
        from (values
            ('balance_sync_url', target.url, 'the function''s URL as Postgres sees it'),
            ('balance_sync_secret', target.secret, 'the function''s BALANCE_SYNC_SECRET')
        ) as s (name, value, meaning)
        where s.value is null;

        if target.url !~* '^https?://[^/\s]' then
            return next (
                'vault_url_unusable', 'error',
                'expected an http or https URL in the Vault secret balance_sync_url, found something else', 1,
                'select vault.update_secret((select id from vault.secrets where name = ''balance_sync_url''), ''<the function''''s URL as Postgres sees it>'');'
            )::balance_sync.diagnosis;
        end if;
    end if;

    if exists (select from balance_sync.settings as s where s.max_parallel_runs = 0) then
        return next (
            'dispatch_switched_off', 'warning', 'settings.max_parallel_runs is 0, so nothing is dispatched', 1,
            'update balance_sync.settings set max_parallel_runs = 4;'
        )::balance_sync.diagnosis;
    end if;

    if cron_is_there then
        select j.jobid, j.active, j.command
        into job
        from cron.job as j
        where j.jobname = 'balance-sync'
        order by j.active desc
        limit 1;
        if not found then
            return next (
                'job_missing', 'error', 'expected the job balance-sync, found none: nothing runs by itself', 1,
                'select balance_sync.schedule();'
            )::balance_sync.diagnosis;
        elsif not job.active then
            return next (
                'job_paused', 'warning', 'the job balance-sync is paused', 1,
                format('select cron.alter_job(%s, active := true);', job.jobid)
            )::balance_sync.diagnosis;
        end if;

        -- Of its command as it is now: another one's failures are mended.
        if to_regclass('cron.job_run_details') is not null then
            return query
            select
                'job_failing',
                'error',
                format('the job balance-sync failed at its last %s runs: %s', count(*), (array_agg(r.return_message order by r.runid desc))[1]),
                count(*),
                'select balance_sync.schedule();'
            from (
                select d.runid, d.return_message, bool_or(d.status <> 'failed') over (order by d.runid desc) as has_worked
                from (
                    select * from cron.job_run_details as a order by a.runid desc limit 1000
                ) as d
                where d.jobid = job.jobid
                  and d.command = job.command
                  and d.status in ('failed', 'succeeded')
            ) as r
            where not r.has_worked
            having count(*) > 0;
        end if;
    end if;

    -- The newest dispatches that came to nothing, back to the first that did not; those before the
    -- URL or the secret was changed say nothing about the new one.
    if vault_is_there then
        select
            count(*) as times,
            (array_agg(r.error order by r.queued_at desc))[1] as error
        into failing
        from (
            select
                q.queued_at,
                q.error,
                bool_or(q.stopped_because not in ('not_accepted', 'not_started', 'lost')) over (order by q.queued_at desc) as has_worked
            from (
                select *
                from balance_sync.runs as u
                where u.queued_at > now() - interval '1 hour'
                  and u.queued_at > coalesce((
                      select max(s.updated_at) from vault.secrets as s where s.name in ('balance_sync_url', 'balance_sync_secret')
                  ), '-infinity')
                order by u.queued_at desc
                limit 100
            ) as q
            where q.ended_at is not null
        ) as r
        where not r.has_worked;

        return query
        select
            w.finding,
            'error',
            format('%s dispatched runs in a row came to nothing, the newest with %s: %s', failing.times, failing.error, w.why),
            failing.times,
            w.remedy
        from (values
            (1, '^http_40[13]$', 'function_refuses_secret', 'the Vault secret balance_sync_secret is none of the function''s BALANCE_SYNC_SECRET, or verify_jwt is not false',
                'select vault.update_secret((select id from vault.secrets where name = ''balance_sync_secret''), ''<the function''''s BALANCE_SYNC_SECRET>'');'),
            (2, '^(http_404|no_answer.*)$', 'function_unreachable', 'no function answers at the Vault secret balance_sync_url',
                'select vault.update_secret((select id from vault.secrets where name = ''balance_sync_url''), ''<the function''''s URL as Postgres sees it>'');'),
            (3, '^not_sent$', 'pg_net_stalled', 'pg_net does not send its requests',
                'select net.worker_restart();'),
            (4, '', 'runs_fail', 'the function ended in the middle of its work, or answered with an error: see its logs',
                'supabase functions deploy balance-sync')
        ) as w (place, pattern, finding, why, remedy)
        where failing.times > 0
          and coalesce(failing.error, '') ~ w.pattern
        order by w.place
        limit 1;
    end if;
end
$$;

revoke all on function balance_sync.diagnose_schedule() from public, anon, authenticated, service_role;


-- The same as sentences, for balance_sync_status(): its role may look into neither cron nor Vault, so
-- this runs as the owner of the database. Secrets are named, never shown.
create function balance_sync.schedule_warnings()
returns text[]
language sql
stable
security definer
set search_path = ''
as $$
    select coalesce(array_agg(format('%s (%s)', d.detail, d.remedy)), '{}')
    from balance_sync.diagnose_schedule() as d
$$;

revoke all on function balance_sync.schedule_warnings() from public, anon, authenticated, service_role;
grant execute on function balance_sync.schedule_warnings() to balance_sync_worker;
