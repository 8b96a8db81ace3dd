-- The dispatch: how many invocations of the function the backlog needs, and what became of those
-- queued before. pg_net is only a doorbell: the truth about a run is in balance_sync.runs.


create index runs_queued on balance_sync.runs (queued_at) where queued_at is not null;


-- Ends runs that will not end themselves, and says why:
--   lost          (no_heartbeat) it started, and then its worker was silent for longer than a lease
--   not_accepted  (http_401, …) the function answered something else than 202, or (no_answer) pg_net
--                 could not reach it or got no answer in time
--   not_started   two minutes after it was queued pg_net has not sent it (not_sent), there is no
--                 answer (no_answer), or 202 was answered but nothing claimed (no_claim)
-- All are presumptions: a worker that calls after all has its run opened again (see note_run).
create function balance_sync.end_lost_runs()
returns void
language plpgsql
volatile
security definer
set search_path = ''
as $$
declare
    lease interval := (select make_interval(secs => s.lock_seconds) from balance_sync.settings as s);
    must_have_started timestamptz := now() - interval '2 minutes';
    oldest timestamptz;
    accepted bigint[] := array[]::bigint[];
    unsent bigint[] := array[]::bigint[];
begin
    update balance_sync.runs as r
    set ended_at = now(), stopped_because = 'lost', error = 'no_heartbeat'
    where r.ended_at is null
      and r.started_at is not null
      and r.heartbeat_at < now() - lease;

    select min(r.queued_at)
    into oldest
    from balance_sync.runs as r
    where r.ended_at is null
      and r.started_at is null;

    if oldest is not null and to_regclass('net._http_response') is not null then
        -- Of the responses only `created` is indexed. pg_net 0.19.5 leaves timed_out null, so that
        -- no status is what means no answer.
        update balance_sync.runs as r
        set
            ended_at = now(),
            stopped_because = 'not_accepted',
            error = coalesce('http_' || p.status_code, 'no_answer: ' || left(p.error_msg, 200), 'no_answer')
        from net._http_response as p
        where p.created > oldest - interval '1 minute'
          and p.status_code is distinct from 202
          and r.request_id = p.id
          and r.ended_at is null
          and r.started_at is null;

        accepted := array(
            select p.id
            from net._http_response as p
            where p.created > oldest - interval '1 minute'
              and p.status_code = 202
        );

        -- What pg_net has not sent by now is taken back, lest a worker of its that comes to life
        -- hours later sends it all at once. What it is just sending it has locked.
        with taken_back as (
            delete from net.http_request_queue as q
            where q.id in (
                select w.id
                from net.http_request_queue as w
                join balance_sync.runs as r on r.request_id = w.id
                where r.ended_at is null
                  and r.started_at is null
                  and r.queued_at < must_have_started
                for update of w skip locked
            )
            returning q.id
        )
        select coalesce(array_agg(t.id), '{}') into unsent from taken_back as t;
    end if;

    update balance_sync.runs as r
    set
        ended_at = now(),
        stopped_because = 'not_started',
        error = case
            when r.request_id = any (unsent) then 'not_sent'
            when r.request_id = any (accepted) then 'no_claim'
            else 'no_answer'
        end
    where r.ended_at is null
      and r.started_at is null
      and r.queued_at < must_have_started;
end
$$;


-- How many rows could be claimed now, counted up to stop_at: due, not leased, of chains that answer
-- or are to be probed. A chain that was out counts one row a lane, for only one run may probe it.
-- Parked rows waiting to be made due count as one: whichever claim comes brings some of them back.
create function balance_sync.backlog(stop_at integer)
returns integer
language plpgsql
stable
security definer
set search_path = ''
set timezone = 'UTC'
set enable_seqscan = off
set jit = off
as $$
declare
    due integer;
begin
    select count(*)::integer
    into due
    from (
        (
            select b.id
            from balance_sync.lanes as l
            left join balance_sync.chain_state as s on s.chain_id = l.chain_id
            cross join lateral (
                select w.id
                from public.wallet_balances as w
                where w.sync_lane = l.lane
                  and w.next_sync_at <= now()
                  and (w.locked_until is null or w.locked_until <= now())
                order by w.next_sync_at
                limit case when s.out_since is null then backlog.stop_at else 1 end
            ) as b
            where s.out_until is null or s.out_until <= now()
            limit backlog.stop_at
        )
        union all
        (
            select w.id
            from public.wallet_balances as w
            where w.sync_lane is null
              and w.next_sync_at <= now()
              and (w.locked_until is null or w.locked_until <= now())
            limit backlog.stop_at
        )
        limit backlog.stop_at
    ) as b;

    return greatest(due, (select count(*)::integer from (select from balance_sync.unparking limit 1) as u));
end
$$;


-- Where the function is called and with which secret, from Vault; null what is missing. Spaces and
-- line ends around them are whoever pasted them in. While it is rotated the secret may be two values
-- with a comma between: the function knows both, and the first is sent.
create function balance_sync.dispatch_target(out url text, out secret text)
language sql
stable
security definer
set search_path = ''
as $$
    select
        nullif(btrim(balance_sync.vault_secret('balance_sync_url'), E' \t\r\n'), ''),
        nullif(btrim(split_part(balance_sync.vault_secret('balance_sync_secret'), ',', 1), E' \t\r\n'), '')
$$;


-- Queues as many invocations of the function as the backlog needs, and returns how many: none when
-- nothing is due, when enough runs are live, and while pg_net or the secrets of dispatch_target() are
-- missing, which balance_sync_status() and diagnose() say.
--
-- A run is reckoned to do 100 batches, 5,000 rows by default: it is through within one tick of the
-- schedule at 0.3 s a batch (claim, one round of RPC requests, record; 0.12 s measured with a node
-- 100 ms away), and before its deadline of 60 s at 0.6 s. max_parallel_runs is the limit.
--
-- Live is every run not ended: queued less than two minutes ago, or with a heartbeat younger than a
-- lease. Except for runs within ten seconds of their deadline: were they waited for, the next tick
-- would come 30 s later, and a third of the time nobody would work on the backlog.
create function balance_sync.dispatch()
returns integer
language plpgsql
volatile
security definer
set search_path = ''
set timezone = 'UTC'
as $$
declare
    settings balance_sync.settings;
    rows_per_run integer;
    live integer;
    wanted integer;
    target record;
begin
    -- Two jobs, or a job and an operator, would count the same backlog twice.
    if not pg_try_advisory_xact_lock(hashtext('balance_sync.dispatch')) then
        return 0;
    end if;
    perform balance_sync.end_lost_runs();

    select * into strict settings from balance_sync.settings;
    select count(*)::integer
    into live
    from balance_sync.runs as r
    where r.ended_at is null
      and (r.started_at between now() - interval '70 seconds' and now() - interval '50 seconds') is not true;
    if live >= settings.max_parallel_runs then
        return 0;
    end if;

    rows_per_run := 100 * settings.batch_size;
    wanted := ceil(balance_sync.backlog(rows_per_run * settings.max_parallel_runs)::numeric / rows_per_run)::integer - live;
    select * into target from balance_sync.dispatch_target();
    if wanted <= 0
        or target.secret is null
        or coalesce(target.url, '') !~* '^https?://[^/\s]'
        or to_regclass('net.http_request_queue') is null
    then
        return 0;
    end if;

    -- The timeout is short because pg_net keeps one transaction open until the slowest of its
    -- requests has ended; the function answers 202 at once and works on.
    with queued as materialized (
        select gen_random_uuid() as id from generate_series(1, wanted)
    )
    insert into balance_sync.runs (id, worker_id, queued_at, request_id)
    select q.id, 'balance-sync:' || q.id, now(), net.http_post(
        url => target.url,
        body => '{}',
        headers => jsonb_build_object(
            'Content-Type', 'application/json',
            'Prefer', 'respond-async',
            'x-balance-sync-run', q.id,
            'x-balance-sync-secret', target.secret
        ),
        timeout_milliseconds => 5000
    )
    from queued as q;
    return wanted;
end
$$;


revoke all on function balance_sync.end_lost_runs() from public, anon, authenticated, service_role;
revoke all on function balance_sync.backlog(integer) from public, anon, authenticated, service_role;
revoke all on function balance_sync.dispatch_target() from public, anon, authenticated, service_role;
revoke all on function balance_sync.dispatch() from public, anon, authenticated, service_role;
