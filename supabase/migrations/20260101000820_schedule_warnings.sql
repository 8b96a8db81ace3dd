-- What balance_sync_status() says about the schedule.


-- What keeps rows from being synced by themselves, as sentences with their remedy; empty when all is
-- well. It looks where the worker's role may not (cron, vault), so it runs as the owner of the
-- database and is callable by the worker's functions alone. Secrets are named, never shown.
create function balance_sync.schedule_warnings()
returns text[]
language plpgsql
stable
security definer
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
    warnings text[] := balance_sync.dispatch_problems();
    job record;
    failing record;
    last_end timestamptz;
begin
    if to_regclass('cron.job') is null then
        warnings := warnings || 'pg_cron is not installed, so nothing runs by itself: create extension pg_cron with schema pg_catalog;'::text;
    else
        select j.jobid, j.active into job from cron.job as j where j.jobname = 'balance-sync' order by j.active desc limit 1;
        if not found then
            warnings := warnings || 'The job balance-sync is not scheduled: select balance_sync.schedule();'::text;
        elsif not job.active then
            warnings := warnings || format('The job balance-sync is paused: select cron.alter_job(%s, active := true);', job.jobid);
        end if;
    end if;

    if exists (select from balance_sync.settings as s where s.max_parallel_runs = 0) then
        warnings := warnings || 'settings.max_parallel_runs is 0, so nothing is dispatched'::text;
    end if;

    -- The newest dispatches that came to nothing, back to the first that did not. Open ones may yet.
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
            order by u.queued_at desc
            limit 100
        ) as q
        where q.ended_at is not null
    ) as r
    where not r.has_worked;
    if failing.times > 0 then
        warnings := warnings || format(
            'Dispatched runs come to nothing, %s in a row, the newest with %s: %s',
            failing.times,
            failing.error,
            case
                when failing.error in ('http_401', 'http_403') then
                    'the Vault secret balance_sync_secret is none of the function''s BALANCE_SYNC_SECRET, or the function was deployed without verify_jwt = false'
                when failing.error = 'http_404' then
                    'there is no function at the Vault secret balance_sync_url'
                when failing.error = 'not_sent' then
                    'pg_net does not send its requests: select net.worker_restart();'
                when failing.error = 'no_claim' then
                    'the function accepted the call but never claimed a row: see its logs'
                when failing.error = 'no_heartbeat' then
                    'the function was ended in the middle of its work: see its logs'
                when failing.error like 'no_answer%' then
                    'the function did not answer at the Vault secret balance_sync_url'
                else 'see the function''s logs'
            end
        );
    end if;

    if exists (
        select
        from balance_sync.lanes as l
        left join balance_sync.chain_state as s on s.chain_id = l.chain_id
        where (s.out_until is null or s.out_until <= now())
          and exists (
              select
              from public.wallet_balances as b
              where b.sync_lane = l.lane
                and b.next_sync_at < now() - interval '5 minutes'
                and (b.locked_until is null or b.locked_until <= now())
          )
    ) or exists (
        select
        from public.wallet_balances as b
        where b.sync_lane is null
          and b.next_sync_at < now() - interval '5 minutes'
    ) then
        select max(r.ended_at)
        into last_end
        from balance_sync.runs as r
        where r.stopped_because not in ('not_accepted', 'not_started', 'lost', 'error');
        if last_end is null then
            warnings := warnings || 'Rows have been due for more than five minutes and no run has ever finished'::text;
        elsif last_end < now() - interval '5 minutes' then
            warnings := warnings || format(
                'Rows have been due for more than five minutes and no run has finished for %s minutes',
                (extract(epoch from now() - last_end) / 60)::integer
            );
        end if;
    end if;
    return warnings;
end
$$;

revoke all on function balance_sync.schedule_warnings() from public, anon, authenticated, service_role;
grant execute on function balance_sync.schedule_warnings() to balance_sync_worker;
