-- The claim: which rows, whose lease.


-- Refuses a claim's `only` unless every key is known and of its type.
create function balance_sync.check_only("only" jsonb)
returns void
language plpgsql
immutable
set search_path = ''
as $$
declare
    key text;
    ids jsonb;
begin
    if jsonb_typeof(check_only."only") <> 'object' then
        raise exception 'Cannot claim wallet balances: expected "only" to be an object, found %', jsonb_typeof(check_only."only")
            using errcode = '22023';
    end if;
    for key, ids in select e.key, e.value from jsonb_each(check_only."only") as e loop
        if key in ('wallet_balance_ids', 'wallet_ids') then
            if jsonb_typeof(ids) <> 'array' or exists (
                select
                from jsonb_array_elements(ids) as e (id)
                where jsonb_typeof(e.id) <> 'string'
                   or e.id #>> '{}' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            ) then
                raise exception 'Cannot claim wallet balances: expected "only"."%" to be an array of uuids', key
                    using errcode = '22023';
            end if;
        elsif key = 'chain' then
            if jsonb_typeof(ids) <> 'string' then
                raise exception 'Cannot claim wallet balances: expected "only"."chain" to be a name, found %', jsonb_typeof(ids)
                    using errcode = '22023';
            end if;
        elsif key = 'ended' then
            if ids ->> 'because' is null then
                raise exception 'Cannot end a run: expected "only"."ended" to be {"because": text, "error": text or null}'
                    using errcode = '22023';
            end if;
        elsif key = 'examine' then
            if ids <> 'true' then
                raise exception 'Cannot examine the database: expected "only"."examine" to be true, found %', ids
                    using errcode = '22023';
            end if;
        else
            raise exception 'Cannot claim wallet balances: "only" has the unknown key "%", expected wallet_balance_ids, wallet_ids, chain or ended', key
                using errcode = '22023';
        end if;
    end loop;
end
$$;


-- Locks up to max_rows due rows, longest due first, and returns where they are. The order is exact
-- while every chain has one lane (up to 10,000 rows a chain); beyond that the lanes take turns, the
-- least recently taken first, and the order is exact within each. A lane that somebody else is
-- taking from goes to the end of the queue and is joined only if nothing else is left.
create function balance_sync.lock_due(max_rows integer, claim_id uuid, lease_until timestamptz)
returns tid[]
language plpgsql
volatile
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    due_by timestamptz;
    free_lanes integer;
    queue smallint[];
    next_lane smallint;
    found_here tid[];
    taken tid[] := array[]::tid[];
begin
    if not exists (select from balance_sync.lanes as l where l.part > 0) then
        -- The due time of the last row that fits, over all lanes: with it each lane gives its share.
        select max(d.next_sync_at) filter (where d.place = lock_due.max_rows)
        into due_by
        from (
            select b.next_sync_at, row_number() over (order by b.next_sync_at) as place
            from balance_sync.lanes as l
            left join balance_sync.chain_state as s on s.chain_id = l.chain_id
            cross join lateral (
                select w.next_sync_at
                from public.wallet_balances as w
                where w.sync_lane = l.lane
                  and w.next_sync_at <= now()
                  and (w.locked_until is null or w.locked_until <= now())
                order by w.next_sync_at
                limit lock_due.max_rows
            ) as b
            where s.out_until is null or s.out_until <= now()
        ) as d;
    end if;
    due_by := coalesce(due_by, now());

    loop
        queue := array(
            select l.lane
            from balance_sync.lanes as l
            left join balance_sync.chain_state as s on s.chain_id = l.chain_id
            where s.out_until is null or s.out_until <= now()
            order by l.last_taken, l.lane
        );
        free_lanes := cardinality(queue);

        for place in 1 .. 2 * free_lanes loop
            exit when cardinality(taken) >= max_rows or place > cardinality(queue);
            next_lane := queue[place];
            if place <= free_lanes then
                perform from balance_sync.lanes as l where l.lane = next_lane for update skip locked;
                if not found then
                    queue := queue || next_lane;
                    continue;
                end if;
            end if;
            continue when not balance_sync.may_ask(next_lane, claim_id, lease_until);

            -- A lane is found empty here, by one look at its head. Looking into all of them first costs
            -- 30 to 55 ms with 32 lanes and 16 workers, for what others have just taken is still there.
            found_here := array(
                select b.ctid
                from public.wallet_balances as b
                where b.sync_lane = next_lane
                  and b.next_sync_at <= due_by
                  and (b.locked_until is null or b.locked_until <= now())
                order by b.next_sync_at
                limit lock_due.max_rows - cardinality(taken)
                for update skip locked
            );
            continue when cardinality(found_here) = 0;
            taken := taken || found_here;
            if place <= free_lanes then
                update balance_sync.lanes as l set last_taken = clock_timestamp() where l.lane = next_lane;
            end if;
        end loop;

        -- Others may hold all that is longest due: then whatever else is due will do.
        exit when cardinality(taken) > 0 or due_by = now();
        due_by := now();
    end loop;
    return taken;
end
$$;


-- Whether a claim may take from a lane: yes while its chain answers. A chain that was out is asked
-- by one claim at a time, the probe, until that claim's lease ends or its result is recorded.
create function balance_sync.may_ask(lane smallint, claim_id uuid, lease_until timestamptz)
returns boolean
language plpgsql
volatile
set search_path = ''
as $$
declare
    state balance_sync.chain_state;
begin
    select s.*
    into state
    from balance_sync.lanes as l
    join balance_sync.chain_state as s on s.chain_id = l.chain_id
    where l.lane = may_ask.lane
      and s.out_since is not null;
    if not found or state.probe_claim_id = may_ask.claim_id then
        return true;
    end if;

    update balance_sync.chain_state as s
    set out_until = may_ask.lease_until, probe_claim_id = may_ask.claim_id
    where s.chain_id = (
        select p.chain_id
        from balance_sync.chain_state as p
        where p.chain_id = state.chain_id and p.out_until <= now()
        for update skip locked
    );
    return found;
end
$$;


-- Locks up to max_rows rows of a filter, due or not, the longest due first and parked ones last.
create function balance_sync.lock_only(max_rows integer, "only" jsonb)
returns tid[]
language plpgsql
volatile
set search_path = ''
set jit = off
as $$
declare
    balance_ids uuid[];
    wallets uuid[];
    chains uuid[];
    taken tid[];
begin
    if lock_only."only" ? 'wallet_balance_ids' then
        balance_ids := array(select e.id::uuid from jsonb_array_elements_text(lock_only."only" -> 'wallet_balance_ids') as e (id));
    end if;
    if lock_only."only" ? 'wallet_ids' then
        wallets := array(select e.id::uuid from jsonb_array_elements_text(lock_only."only" -> 'wallet_ids') as e (id));
    end if;
    if lock_only."only" ? 'chain' then
        chains := array(select c.id from public.chains as c where c.name = lock_only."only" ->> 'chain');
        if cardinality(chains) = 0 then
            raise exception 'Cannot claim wallet balances: no chain is named "%"', lock_only."only" ->> 'chain'
                using errcode = '22023';
        end if;
    end if;

    if balance_ids is null and wallets is null then
        -- A whole chain: its lanes, in index order. Whatever is recorded goes to their end, so that
        -- claim after claim walks all of it once.
        taken := array(
            select d.row_at
            from balance_sync.lanes as l
            cross join lateral (
                select b.ctid as row_at, b.next_sync_at
                from public.wallet_balances as b
                where b.sync_lane = l.lane
                  and b.next_sync_at is not null
                  and (b.locked_until is null or b.locked_until <= now())
                order by b.next_sync_at
                limit lock_only.max_rows
                for update skip locked
            ) as d
            where l.chain_id = any (chains)
            order by d.next_sync_at
            limit lock_only.max_rows
        );
        return taken || array(
            select b.ctid
            from public.wallet_balances as b
            join public.asset_on_chain as a on a.id = b.asset_on_chain_id
            where b.sync_lane is null
              and b.next_sync_at is not null
              and a.chain_id = any (chains)
              and (b.locked_until is null or b.locked_until <= now())
            limit lock_only.max_rows - cardinality(taken)
            for update of b skip locked
        );
    end if;

    if balance_ids is null then
        balance_ids := array(select b.id from public.wallet_balances as b where b.wallet_id = any (wallets));
    end if;
    return array(
        select b.ctid
        from public.wallet_balances as b
        where b.id = any (balance_ids)
          and (wallets is null or b.wallet_id = any (wallets))
          and (chains is null or exists (
              select from public.asset_on_chain as a
              where a.id = b.asset_on_chain_id and a.chain_id = any (chains)
          ))
          and (b.locked_until is null or b.locked_until <= now())
        order by b.next_sync_at nulls last
        limit lock_only.max_rows
        for update of b skip locked
    );
end
$$;


-- A chain's settings as its adapter wants them: what is not set is absent, and a header that names
-- a Vault secret carries its value (null when there is no such secret). A chain that has been read
-- before is held to the chain id its nodes gave then, unless the operator has set one.
create function balance_sync.chain_settings_of(chain_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
    select
        coalesce(
            (
                select jsonb_build_object('evm_chain_id', k.evm_chain_id::text)
                from balance_sync.chain_state as k
                where k.chain_id = chain_settings_of.chain_id and k.evm_chain_id is not null
            ),
            '{}'
        )
        || coalesce(
            (
                select jsonb_strip_nulls(to_jsonb(s) - array['chain_id', 'adapter', 'rpc_headers'])
                    || case when s.rpc_headers is null then '{}' else jsonb_build_object('rpc_headers', (
                        select coalesce(jsonb_object_agg(
                            h.name,
                            case when h.value like 'vault:%' then balance_sync.vault_secret(substr(h.value, 7)) else h.value end
                        ), '{}')
                        from jsonb_each_text(s.rpc_headers) as h (name, value)
                    )) end
                from balance_sync.chain_settings as s
                where s.chain_id = chain_settings_of.chain_id
            ),
            '{}'
        )
$$;


-- Leases up to batch_size due rows, longest due first, to a worker.
--
-- worker_id     who asks; ends up in locked_by as worker_id:claim_id
-- batch_size    at least 1; null takes settings.batch_size; never more than settings.max_batch_size
-- lock_seconds  at least 1; null takes settings.lock_seconds
-- only          {"wallet_balance_ids": [uuid], "wallet_ids": [uuid], "chain": name}: those rows, due or
--               not, never one that is leased. {"ended": {"because", "error"}}: claims nothing and
--               closes the ledger entry of this worker's run. {"examine": true}: claims nothing and
--               answers what the doctor needs to know, see examination().
--
-- Answers {"claim_id", "locked_until", "claimed", "chains": [{"chain_id", "name", "adapter", "rpc_url",
-- "settings", "balances": [{"id", "address", "asset_id", "is_native", "contract_address", "decimals"}]}]};
-- nothing due: {"claim_id": null, "claimed": 0, "chains": []}. One jsonb value, because a set of rows is
-- cut at the Data API's max_rows, and rows cut off would be leased without anybody knowing.
-- Rows that cannot be synced are parked when met, for half a second of a claim that found others, for
-- four of one that did not: an empty answer is taken for the end.
-- Errors: 22023 for arguments out of range.
create function public.claim_wallet_balances(
    worker_id text,
    batch_size integer default null,
    lock_seconds integer default null,
    "only" jsonb default null
)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
set timezone = 'UTC'
set jit = off
as $$
declare
    settings balance_sync.settings;
    wanted integer;
    claim_id uuid := gen_random_uuid();
    lease_until timestamptz;
    rows_at tid[];
    leased balance_sync.leased_balance[] := array[]::balance_sync.leased_balance[];
    newly_leased balance_sync.leased_balance[];
    unreadable uuid[];
    dealt integer;
    bite integer;
    started timestamptz;
    answer json;
begin
    if coalesce(claim_wallet_balances.worker_id, '') = '' then
        raise exception 'Cannot claim wallet balances: expected a worker_id, found none' using errcode = '22023';
    elsif claim_wallet_balances.batch_size < 1 then
        raise exception 'Cannot claim wallet balances: expected batch_size of at least 1, found %', claim_wallet_balances.batch_size
            using errcode = '22023';
    elsif claim_wallet_balances.lock_seconds < 1 then
        raise exception 'Cannot claim wallet balances: expected lock_seconds of at least 1, found %', claim_wallet_balances.lock_seconds
            using errcode = '22023';
    elsif claim_wallet_balances."only" is not null then
        perform balance_sync.check_only(claim_wallet_balances."only");
    end if;

    if claim_wallet_balances."only" ? 'examine' then
        return '{"claim_id": null, "claimed": 0}'::jsonb || balance_sync.examination();
    elsif claim_wallet_balances."only" ? 'ended' then
        perform balance_sync.end_run(claim_wallet_balances.worker_id, claim_wallet_balances."only" -> 'ended');
        return '{"claim_id": null, "claimed": 0, "chains": []}'::jsonb;
    end if;

    -- A lease that a crash of the server undoes is a lease nobody holds: the row is due again and a late
    -- record is told `lost`. So the commit does not wait for the disk (2 to 3 ms); a record's does. This
    -- holds for the caller's transaction, which through the Data API is this call alone.
    perform set_config('synchronous_commit', 'off', true);

    select * into strict settings from balance_sync.settings;
    wanted := least(coalesce(claim_wallet_balances.batch_size, settings.batch_size), settings.max_batch_size);
    lease_until := now() + make_interval(secs => coalesce(claim_wallet_balances.lock_seconds, settings.lock_seconds));

    perform balance_sync.unpark(2000);
    dealt := balance_sync.deal_lanes(2000);

    bite := wanted;
    started := clock_timestamp();
    loop
        if claim_wallet_balances."only" is null or claim_wallet_balances."only" = '{}' then
            rows_at := balance_sync.lock_due(bite, claim_id, lease_until);
        else
            rows_at := balance_sync.lock_only(bite, claim_wallet_balances."only");
        end if;
        if cardinality(rows_at) = 0 then
            -- Rows that nobody can sync may stand before the others among those that wait for a lane.
            exit when cardinality(leased) > 0 or dealt < 2000 or clock_timestamp() > started + interval '4 seconds';
            dealt := balance_sync.deal_lanes(2000);
            continue;
        end if;

        with met as materialized (
            select t.*
            from unnest(rows_at) with ordinality as r (row_at, place)
            join balance_sync.targets as t on t.row_at = r.row_at
            order by r.place
        ),
        readable as (
            select * from met as m where m.parked_because is null limit wanted - cardinality(leased)
        ),
        taken as (
            -- Only lease columns, none of them indexed: the row stays on its page (HOT).
            update public.wallet_balances as b
            set
                processing_status = 'processing',
                locked_until = lease_until,
                locked_by = claim_wallet_balances.worker_id || ':' || claim_id
            from readable as r
            where b.ctid = r.row_at
            returning r.chain_id, r.id, r.address, r.asset_id, r.is_native, r.contract_address, r.decimals
        )
        select
            array(select (t.*)::balance_sync.leased_balance from taken as t),
            array(select m.id from met as m where m.parked_because is not null)
        into newly_leased, unreadable;

        leased := leased || newly_leased;
        exit when cardinality(unreadable) = 0;
        perform balance_sync.park(unreadable);
        exit when claim_wallet_balances."only" <> '{}'
            or cardinality(leased) >= wanted
            or clock_timestamp() > started + case when cardinality(leased) > 0 then interval '500 milliseconds' else interval '4 seconds' end;
        -- Where one row cannot be synced there are more: by the batch a small one would park for ever.
        bite := greatest(wanted - cardinality(leased), 500);
    end loop;

    -- A probe that leased nothing proves nothing: the next claim may try.
    update balance_sync.chain_state as s
    set out_until = now(), probe_claim_id = null
    where s.probe_claim_id = claim_id
      and not exists (select from unnest(leased) as l where l.chain_id = s.chain_id);

    perform balance_sync.note_run(
        claim_wallet_balances.worker_id,
        jsonb_build_object('batches', (cardinality(leased) > 0)::integer, 'claimed', cardinality(leased))
    );

    if cardinality(leased) = 0 then
        return '{"claim_id": null, "claimed": 0, "chains": []}'::jsonb;
    end if;

    -- As json, which is text, until it is whole: jsonb is taken apart and put together again by each
    -- aggregate that it goes through, 0.8 ms of 500 rows.
    select json_agg(
        json_build_object(
            'chain_id', c.id,
            'name', c.name,
            'adapter', coalesce(
                (select s.adapter from balance_sync.chain_settings as s where s.chain_id = c.id),
                case when c.name ilike 'tron%' then 'tron' else 'evm' end
            ),
            'rpc_url', c.rpc_url,
            'settings', balance_sync.chain_settings_of(c.id),
            'balances', l.balances
        )
        order by c.name, c.id
    )
    into answer
    from (
        select b.chain_id, json_agg(b.balance) as balances
        from (
            select
                r.chain_id,
                json_build_object(
                    'id', r.id,
                    'address', r.address,
                    'asset_id', r.asset_id,
                    'is_native', r.is_native,
                    'contract_address', r.contract_address,
                    'decimals', r.decimals
                ) as balance
            from unnest(leased) as r
        ) as b
        group by b.chain_id
    ) as l
    join public.chains as c on c.id = l.chain_id;

    return json_build_object(
        'claim_id', claim_id,
        'locked_until', lease_until,
        'claimed', cardinality(leased),
        'chains', answer
    );
end
$$;


-- The run ledger. A worker is one invocation, so its id names the run: balance-sync:<run id>, and
-- any other name gets a run of its own. `counts` are added to the run's.
create function balance_sync.note_run(worker_id text, counts jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    insert into balance_sync.runs as r (
        id, worker_id, started_at, heartbeat_at,
        batches, claimed, recorded, changed, failed, stale, lost, released
    )
    select
        coalesce(substring(note_run.worker_id from '^balance-sync:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$')::uuid, gen_random_uuid()),
        note_run.worker_id, now(), now(),
        coalesce(c.batches, 0), coalesce(c.claimed, 0), coalesce(c.recorded, 0), coalesce(c.changed, 0),
        coalesce(c.failed, 0), coalesce(c.stale, 0), coalesce(c.lost, 0), coalesce(c.released, 0)
    from jsonb_to_record(note_run.counts) as c (
        batches integer, claimed bigint, recorded bigint, changed bigint,
        failed bigint, stale bigint, lost bigint, released bigint
    )
    on conflict on constraint one_run_per_worker do update set
        started_at = coalesce(r.started_at, excluded.started_at),
        heartbeat_at = excluded.heartbeat_at,
        batches = r.batches + excluded.batches,
        claimed = r.claimed + excluded.claimed,
        recorded = r.recorded + excluded.recorded,
        changed = r.changed + excluded.changed,
        failed = r.failed + excluded.failed,
        stale = r.stale + excluded.stale,
        lost = r.lost + excluded.lost,
        released = r.released + excluded.released,
        -- A run that dispatch() presumed lost, but here it is.
        ended_at = case when r.stopped_because in ('lost', 'not_accepted', 'not_started') then null else r.ended_at end,
        error = case when r.stopped_because in ('lost', 'not_accepted', 'not_started') then null else r.error end,
        stopped_because = case when r.stopped_because in ('lost', 'not_accepted', 'not_started') then null else r.stopped_because end;
end
$$;


-- Closes a run: {"because": "drained" | "max_batches" | "deadline" | "error", "error": text or null}.
create function balance_sync.end_run(worker_id text, ended jsonb)
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    perform balance_sync.note_run(end_run.worker_id, '{}');
    update balance_sync.runs as r
    set
        ended_at = now(),
        stopped_because = end_run.ended ->> 'because',
        error = end_run.ended ->> 'error'
    where r.worker_id = end_run.worker_id;
end
$$;


revoke all on function public.claim_wallet_balances(text, integer, integer, jsonb) from public, anon, authenticated;
grant execute on function public.claim_wallet_balances(text, integer, integer, jsonb) to service_role;

grant create on schema balance_sync, public to balance_sync_worker;
alter function public.claim_wallet_balances(text, integer, integer, jsonb) owner to balance_sync_worker;

do $$
declare
    owned regprocedure;
begin
    foreach owned in array array[
        'balance_sync.check_only(jsonb)', 'balance_sync.lock_due(integer, uuid, timestamptz)',
        'balance_sync.may_ask(smallint, uuid, timestamptz)', 'balance_sync.lock_only(integer, jsonb)',
        'balance_sync.chain_settings_of(uuid)', 'balance_sync.note_run(text, jsonb)',
        'balance_sync.end_run(text, jsonb)'
    ]::regprocedure[]
    loop
        execute format('revoke all on function %s from public, anon, authenticated, service_role', owned);
        execute format('alter function %s owner to balance_sync_worker', owned);
    end loop;
end
$$;

revoke create on schema balance_sync, public from balance_sync_worker;
