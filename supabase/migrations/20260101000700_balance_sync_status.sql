-- The state of the whole, for people, health checks and metrics. Every count stops at a bound, so
-- that asking costs the same at any table size.
--
-- Answers {"due", "oldest_due_seconds", "leased", "parked", "failing_recently", "unparking",
-- "counts_stop_at", "live_runs", "last_recorded_seconds", "chains": [{"chain_id", "name", "due",
-- "out_since", "out_until", "error", "last_block"}], "totals": {…of the retained runs…},
-- "warnings": [text]}. Ages are whole seconds, blocks are text.
create function public.balance_sync_status()
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set timezone = 'UTC'
set enable_seqscan = off
set jit = off
as $$
declare
    stop_at constant integer := 10000;
    chains jsonb;
    counts record;
    undealt record;
    totals jsonb;
    overdue text;
begin
    select coalesce(jsonb_agg(
        jsonb_build_object(
            'chain_id', c.id,
            'name', coalesce(c.name, ''),
            'is_active', c.is_active,
            'due', d.due,
            'leased', d.leased,
            'oldest_due_seconds', extract(epoch from now() - d.oldest)::bigint,
            'out_since', s.out_since,
            'out_until', s.out_until,
            'error', s.error,
            'stale_since', s.stale_since,
            'last_block', s.last_block::text
        ) order by c.name, c.id
    ), '[]')
    into chains
    from public.chains as c
    left join balance_sync.chain_state as s on s.chain_id = c.id
    cross join lateral (
        select
            count(*) filter (where b.is_free) as due,
            count(*) filter (where not b.is_free) as leased,
            min(b.next_sync_at) filter (where b.is_free) as oldest
        from (
            select w.next_sync_at, coalesce(w.locked_until <= now(), true) as is_free
            from balance_sync.lanes as l
            cross join lateral (
                select w.next_sync_at, w.locked_until
                from public.wallet_balances as w
                where w.sync_lane = l.lane and w.next_sync_at <= now()
                order by w.next_sync_at
                limit stop_at
            ) as w
            where l.chain_id = c.id
            limit stop_at
        ) as b
    ) as d;

    select count(*) as due, extract(epoch from now() - min(u.next_sync_at))::bigint as oldest
    into undealt
    from (
        select w.next_sync_at
        from public.wallet_balances as w
        where w.sync_lane is null and w.next_sync_at <= now()
        order by w.sync_lane, w.next_sync_at
        limit stop_at
    ) as u;

    select
        coalesce(sum((c ->> 'due')::bigint), 0) + undealt.due as due,
        coalesce(sum((c ->> 'leased')::bigint), 0) as leased,
        greatest(max((c ->> 'oldest_due_seconds')::bigint), undealt.oldest) as oldest,
        greatest(
            max((c ->> 'oldest_due_seconds')::bigint) filter (where ((c ->> 'out_until')::timestamptz > now()) is not true),
            undealt.oldest
        ) as oldest_of_chains_that_answer
    into counts
    from jsonb_array_elements(chains) as c;

    if counts.oldest_of_chains_that_answer > 300 then
        select case
            when max(r.ended_at) is null then 'Rows have been due for more than five minutes and no run has ever finished'
            when max(r.ended_at) < now() - interval '5 minutes' then format(
                'Rows have been due for more than five minutes and no run has finished for %s minutes',
                (extract(epoch from now() - max(r.ended_at)) / 60)::integer
            )
        end
        into overdue
        from balance_sync.runs as r
        where r.stopped_because not in ('not_accepted', 'not_started', 'lost', 'error');
    end if;

    select jsonb_build_object(
        'runs', count(*), 'claimed', coalesce(sum(r.claimed), 0), 'recorded', coalesce(sum(r.recorded), 0),
        'changed', coalesce(sum(r.changed), 0), 'failed', coalesce(sum(r.failed), 0),
        'stale', coalesce(sum(r.stale), 0), 'lost', coalesce(sum(r.lost), 0), 'released', coalesce(sum(r.released), 0)
    )
    into totals
    from balance_sync.runs as r;

    return jsonb_build_object(
        'due', least(counts.due, stop_at),
        'leased', counts.leased,
        'oldest_due_seconds', counts.oldest,
        'parked', (select count(*) from (
            select from public.wallet_balances as w where w.next_sync_at is null limit stop_at
        ) as p),
        'unparking', (select count(*) from balance_sync.unparking),
        'counts_stop_at', stop_at,
        'live_runs', (
            select count(*) from balance_sync.runs as r
            where r.ended_at is null and r.heartbeat_at > now() - interval '2 minutes'
        ),
        'last_heartbeat_seconds', (select extract(epoch from now() - max(r.heartbeat_at))::bigint from balance_sync.runs as r),
        'chains', chains,
        'totals', totals,
        'warnings', to_jsonb(array_remove(balance_sync.schedule_warnings() || overdue, null))
    );
end
$$;

revoke all on function public.balance_sync_status() from public, anon, authenticated;
grant execute on function public.balance_sync_status() to service_role;

grant create on schema public to balance_sync_worker;
alter function public.balance_sync_status() owner to balance_sync_worker;
revoke create on schema public from balance_sync_worker;
