-- The queue: rows that wait, that are held, and that fail. Read in index order and counted up to
-- 10,000, so that it takes the same time at any table size.
create function balance_sync.diagnose_queue()
returns setof balance_sync.diagnosis
language plpgsql
stable
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
    stop_at constant integer := 10000;
    settings balance_sync.settings;
    last_end timestamptz;
begin
    select * into strict settings from balance_sync.settings;
    select max(r.ended_at)
    into last_end
    from balance_sync.runs as r
    where r.stopped_because not in ('not_accepted', 'not_started', 'lost', 'error');

    return query
    with met as materialized (
        select d.*
        from (
            -- one row that stands for "not dealt yet": null like the column
            select null::smallint as lane, false as is_out
            union all
            select l.lane, s.out_until > now()
            from balance_sync.lanes as l
            left join balance_sync.chain_state as s on s.chain_id = l.chain_id
        ) as l
        cross join lateral (
            select b.id, b.next_sync_at, b.locked_until, b.locked_by, l.is_out
            from public.wallet_balances as b
            where (b.sync_lane = l.lane or (l.lane is null and b.sync_lane is null))
              and b.next_sync_at <= now()
            order by b.next_sync_at
            limit stop_at
        ) as d
        limit stop_at
    ),
    found as (
        select
            'expired_lease' as finding,
            'warning' as severity,
            'leases ran out before their worker recorded anything, the oldest at ' || to_char(min(m.locked_until), 'YYYY-MM-DD HH24:MI') || '; any claim takes such rows again' as what,
            array_agg(m.id::text order by m.locked_until) as ids,
            'update public.wallet_balances set processing_status = ''idle'', locked_until = null, locked_by = null where locked_until <= now();' as remedy
        from met as m
        where m.locked_until <= now()
        having count(*) > 0

        union all
        select
            'endless_lease',
            'error',
            'leases last for more than a day, the longest until ' || to_char(max(m.locked_until), 'YYYY-MM-DD') || ' (' || min(coalesce(m.locked_by, 'nobody')) || ')',
            array_agg(m.id::text order by m.locked_until desc),
            'update public.wallet_balances set processing_status = ''idle'', locked_until = null, locked_by = null where locked_until > now() + interval ''1 day'';'
        from met as m
        where m.locked_until > now() + interval '1 day'
        having count(*) > 0

        union all
        select
            'overdue',
            'error',
            'rows have been due for more than five minutes, the longest since ' || to_char(min(m.next_sync_at), 'YYYY-MM-DD HH24:MI')
                || case
                    when last_end is null then ', and no run has ever finished'
                    else ', and no run has finished since ' || to_char(last_end, 'YYYY-MM-DD HH24:MI')
                end,
            array_agg(m.id::text order by m.next_sync_at),
            'npx deno task sync'
        from met as m
        where m.next_sync_at < now() - interval '5 minutes'
          and (m.locked_until is null or m.locked_until <= now())
          and m.is_out is not true
        having count(*) > 0
           and (last_end is null or last_end < now() - interval '5 minutes')
    )
    select
        f.finding,
        f.severity,
        format('%s: %s', f.what, balance_sync.for_example(f.ids)),
        cardinality(f.ids)::bigint,
        f.remedy
    from found as f;

    -- Rows that back off are due later than any that was recorded just now.
    return query
    with failing as (
        select f.id, split_part(f.last_error, ':', 1) as code, f.last_error, f.last_error_at
        from balance_sync.lanes as l
        cross join lateral (
            select b.id, b.last_error, b.last_error_at, b.consecutive_errors
            from public.wallet_balances as b
            where b.sync_lane = l.lane
              and b.next_sync_at > now() + make_interval(secs => settings.sync_interval_seconds)
            order by b.next_sync_at desc
            limit stop_at
        ) as f
        where f.consecutive_errors >= 3
        limit stop_at
    )
    select
        'failing',
        'warning',
        format(
            'rows fail with %s again and again, the newest with "%s": %s',
            f.code, (array_agg(f.last_error order by f.last_error_at desc))[1],
            balance_sync.for_example(array_agg(f.id::text order by f.id))
        ),
        count(*),
        format(
            'update public.wallet_balances set next_sync_at = now(), consecutive_errors = 0 where consecutive_errors >= 3 and last_error like %L;',
            replace(f.code, '_', '\_') || ':%'
        )
    from failing as f
    group by f.code
    order by count(*) desc;
end
$$;

revoke all on function balance_sync.diagnose_queue() from public, anon, authenticated, service_role;
