-- Why is this row not updating? One row's state, from whatever decides about it.
--
-- Answers {"wallet_balance_id", "state", "because", "next_attempt_at", "parked_because", "address",
-- "address_source", "chain": {"name", "out_since", "out_until", "error"}, "lease": {"worker", "claim_id",
-- "until"}, "due": {"since", "rows_ahead", "counts_stop_at"}, "errors": {"in_a_row", "total", "last",
-- "last_at"}, "balance": {"raw", "block", "checked_at", "times"}, "last_run": {"id", "started_at",
-- "heartbeat_at", "ended_at", "stopped_because", "is_certain"}}.
--
-- state            missing, leased, parked, chain_out, backing_off, scheduled or due: the first that holds
-- because          the same in a sentence
-- next_attempt_at  when it is expected to be tried again: of a leased row when its lease ends at the
--                  latest, of a due one an estimate from the last ten minutes; null: not by itself
-- last_run         null where the ledger keeps none; not certain where several ran at that moment
create function balance_sync.explain(wallet_balance_id uuid)
returns jsonb
language plpgsql
stable
set search_path = ''
set timezone = 'UTC'
set enable_seqscan = off
set jit = off
as $$
declare
    stop_at constant integer := 10000;
    balance record;
    target record;
    chain record;
    run record;
    worker text;
    seen_at timestamptz;
    tick interval;
    rows_ahead integer;
    due_lanes integer;
    rows_per_second numeric;
    state text;
    because text;
    next_attempt_at timestamptz;
begin
    -- As json, because an adopted table may lack last_processed_at.
    select b.*, (to_jsonb(b) ->> 'last_processed_at')::timestamptz as processed_at
    into balance
    from public.wallet_balances as b
    where b.id = explain.wallet_balance_id;
    if not found then
        return jsonb_build_object(
            'wallet_balance_id', explain.wallet_balance_id,
            'state', 'missing',
            'because', 'wallet_balances has no row with this id'
        );
    end if;

    select t.* into target from balance_sync.targets as t where t.id = explain.wallet_balance_id;
    select c.name, s.out_since, s.out_until, s.error
    into chain
    from public.chains as c
    left join balance_sync.chain_state as s on s.chain_id = c.id
    where c.id = target.chain_id;

    if to_regclass('cron.job') is not null then
        select max(case when j.schedule ~ '^[0-9]+ seconds?$' then j.schedule::interval else '1 minute' end)
        into tick
        from cron.job as j
        where j.jobname = 'balance-sync' and j.active;
    end if;

    -- A worker that is not ours may have left another form of name.
    worker := case when balance.locked_by ~ ':[0-9a-f-]{36}$' then left(balance.locked_by, -37) else balance.locked_by end;

    if balance.locked_until > now() then
        state := 'leased';
        because := format('%s has leased it until %s', coalesce(worker, 'somebody'), balance.locked_until);
        next_attempt_at := balance.locked_until;
    elsif balance.next_sync_at is null then
        state := 'parked';
        if target.parked_because is not null then
            because := 'it is parked until this is mended: ' || balance_sync.why_parked(target.parked_because);
        elsif exists (select from balance_sync.unparking as u where u.asset_on_chain_id = balance.asset_on_chain_id) then
            because := 'it was parked, what parked it is mended, and the next claims make such rows due';
            next_attempt_at := now() + tick;
        else
            because := 'it is parked though nothing keeps it from being synced: see balance_sync.diagnose()';
        end if;
    elsif chain.out_until > now() then
        state := 'chain_out';
        because := format('chain %s has not answered since %s: %s', chain.name, chain.out_since, chain.error);
        next_attempt_at := greatest(chain.out_until, balance.next_sync_at);
    elsif balance.next_sync_at > now() and balance.consecutive_errors > 0 then
        state := 'backing_off';
        because := format('it failed %s times in a row, the last time with: %s', balance.consecutive_errors, balance.last_error);
        next_attempt_at := balance.next_sync_at;
    elsif balance.next_sync_at > now() then
        state := 'scheduled';
        because := 'it was looked at a moment ago, and waits for its next turn';
        next_attempt_at := balance.next_sync_at;
    else
        state := 'due';
        select count(*)
        into rows_ahead
        from (
            select
            from public.wallet_balances as b
            where (b.sync_lane = balance.sync_lane or (balance.sync_lane is null and b.sync_lane is null))
              and b.next_sync_at < balance.next_sync_at
              and (b.locked_until is null or b.locked_until <= now())
            limit stop_at
        ) as a;
        select count(*)
        into due_lanes
        from balance_sync.lanes as l
        where exists (select from public.wallet_balances as b where b.sync_lane = l.lane and b.next_sync_at <= now());
        select sum(r.claimed) / nullif(extract(epoch from now() - min(r.started_at)), 0)
        into rows_per_second
        from balance_sync.runs as r
        where r.heartbeat_at > now() - interval '10 minutes'
          and r.started_at is not null;

        because := format('it has been due since %s, behind %s rows of its lane', balance.next_sync_at, rows_ahead);
        if target.parked_because is not null then
            because := because || '; the next claim that meets it parks it: ' || balance_sync.why_parked(target.parked_because);
        elsif tick is null and coalesce(rows_per_second, 0) = 0 then
            because := because || '; no job is active and nobody has synced for ten minutes: see balance_sync.diagnose()';
        else
            -- Lanes take turns, so that each gets its share of what is synced in a second.
            next_attempt_at := now() + coalesce(tick, '0')
                + coalesce(rows_ahead * greatest(due_lanes, 1) / nullif(rows_per_second, 0), 0) * interval '1 second';
        end if;
    end if;

    -- A run that records a row has its heartbeat in the same transaction, or a later one.
    seen_at := greatest(balance.last_checked, balance.last_error_at, balance.processed_at);
    select
        r.*,
        r.worker_id = worker or c.run_id is not null or count(*) over () = 1 as is_certain
    into run
    from balance_sync.runs as r
    left join (
        select h.run_id
        from balance_sync.balance_changes as h
        where h.wallet_balance_id = explain.wallet_balance_id and h.changed_at = seen_at
        order by h.id desc
        limit 1
    ) as c on c.run_id = r.id
    where case
        when balance.locked_by is not null then r.worker_id = worker
        else r.started_at <= seen_at and r.heartbeat_at >= seen_at
    end
    order by c.run_id is null, r.heartbeat_at
    limit 1;

    return jsonb_build_object(
        'wallet_balance_id', balance.id,
        'state', state,
        'because', because,
        'next_attempt_at', next_attempt_at,
        'parked_because', target.parked_because,
        'address', target.address,
        'address_source', balance_sync.address_source(),
        'chain', to_jsonb(chain),
        'lease', case when balance.locked_until > now() then jsonb_build_object(
            'worker', worker, 'claim_id', substring(balance.locked_by from ':([0-9a-f-]{36})$'), 'until', balance.locked_until
        ) end,
        'due', case when state = 'due' then jsonb_build_object(
            'since', balance.next_sync_at, 'rows_ahead', rows_ahead, 'counts_stop_at', stop_at
        ) end,
        'errors', jsonb_build_object(
            'in_a_row', balance.consecutive_errors, 'total', balance.error_count,
            'last', balance.last_error, 'last_at', balance.last_error_at
        ),
        'balance', jsonb_build_object(
            'raw', balance.on_chain_balance_raw, 'block', balance.on_chain_block::text,
            'checked_at', balance.last_checked, 'times', balance.sync_count
        ),
        'last_run', case when run.id is not null then jsonb_build_object(
            'id', run.id, 'started_at', run.started_at, 'heartbeat_at', run.heartbeat_at,
            'ended_at', run.ended_at, 'stopped_because', run.stopped_because, 'is_certain', run.is_certain
        ) end
    );
end
$$;


-- A reason of targets.parked_because as a sentence.
create function balance_sync.why_parked(parked_because text)
returns text
language sql
immutable
set search_path = ''
as $$
    select case why_parked.parked_because
        when 'asset_missing' then 'it points at no asset_on_chain'
        when 'chain_missing' then 'its asset points at no chain'
        when 'chain_inactive' then 'its chain is inactive'
        when 'asset_inactive' then 'its asset is inactive'
        when 'address_missing' then 'its wallet has no active address on its chain'
        when 'ambiguous_address' then 'its wallet has several active addresses on its chain'
        when 'missing_contract_address' then 'its asset is a token without a contract_address'
        else why_parked.parked_because
    end
$$;

revoke all on function balance_sync.explain(uuid) from public, anon, authenticated, service_role;
revoke all on function balance_sync.why_parked(text) from public, anon, authenticated, service_role;
