-- The record: what was read, written by whoever still holds the lease.


-- Exponential backoff after n failures in a row: 30 s, 1 min, 2 min, … up to 6 h with the default
-- settings, and up to a quarter more by chance, so that rows that failed together come back apart.
create function balance_sync.backoff(failures integer, base_seconds integer, cap_seconds integer)
returns interval
language sql
volatile
set search_path = ''
as $$
    select make_interval(secs =>
        least(cap_seconds / 1.25, base_seconds * 2.0 ^ least(greatest(failures, 1) - 1, 40)) * (1 + random() / 4)
    )
$$;


-- Reads a results array into rows, or refuses it whole (22023), naming the first bad element.
create function balance_sync.parse_results(results jsonb)
returns balance_sync.result[]
language plpgsql
immutable
set search_path = ''
as $$
declare
    parsed balance_sync.result[];
    problem text;
    repeated uuid;
    limit_256 constant numeric := 2::numeric ^ 256;
begin
    if jsonb_typeof(parse_results.results) is distinct from 'array' then
        raise exception 'Cannot record wallet balances: expected results to be an array, found %',
            coalesce(jsonb_typeof(parse_results.results), 'null')
            using errcode = '22023';
    end if;

    -- Two fences (materialized): unfenced, every field and every check is evaluated again in each place
    -- that uses it, and parsing 500 results takes 15 ms instead of 4.
    with elements as materialized (
        select
            r.place,
            r.element ->> 'id' as id,
            r.element ->> 'raw' as raw,
            r.element ->> 'block' as block,
            r.element ->> 'evm_chain_id' as evm_chain_id,
            jsonb_typeof(r.element) as type,
            jsonb_typeof(r.element -> 'raw') as raw_type,
            jsonb_typeof(r.element -> 'block') as block_type,
            nullif(r.element -> 'error', 'null') as error
        from jsonb_array_elements(parse_results.results) with ordinality as r (element, place)
    ),
    judged as materialized (
        select
            e.*,
            case
                when e.type <> 'object'
                    then 'expected an object, found ' || e.type
                -- Counted by like, for a regular expression with counts takes three times as long as both.
                when coalesce(e.id, '') not like '________-____-____-____-____________'
                    or e.id !~* '^[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+$'
                    then 'expected id to be a uuid'
                when (e.raw is null) = (e.error is null)
                    then 'expected either raw or error, found ' || case when e.raw is null then 'neither' else 'both' end
                when e.error is not null then
                    case
                        when jsonb_typeof(e.error) <> 'object'
                            or jsonb_typeof(e.error -> 'code') is distinct from 'string'
                            or jsonb_typeof(e.error -> 'message') is distinct from 'string'
                            then 'expected error to be {"code": text, "message": text}'
                        when coalesce(e.error ->> 'scope', 'row') not in ('row', 'contract', 'chain')
                            then 'expected error.scope to be row, contract or chain'
                    end
                when e.raw_type <> 'string' or length(e.raw) > 78 or e.raw !~ '^[0-9]+$' or (e.raw like '0%' and e.raw <> '0')
                    then 'expected raw to be a non-negative integer below 2^256 as text, found ' || left(e.raw, 100)
                when length(e.raw) = 78 and e.raw::numeric >= limit_256
                    then 'expected raw to be below 2^256, found ' || e.raw
                when coalesce(e.block_type, '') <> 'string' or length(e.block) > 78 or e.block !~ '^[0-9]+$'
                    then 'expected block to be a non-negative integer as text, found ' || coalesce(left(e.block, 100), 'none')
                when length(e.evm_chain_id) > 78 or e.evm_chain_id !~ '^[0-9]+$'
                    then 'expected evm_chain_id to be a non-negative integer as text, found ' || left(e.evm_chain_id, 100)
            end as problem
        from elements as e
    )
    select
        array_agg((
            (case when j.problem is null then j.id end)::uuid,
            (case when j.problem is null then j.raw end)::numeric,
            (case when j.problem is null then j.block end)::numeric,
            (case when j.problem is null then j.evm_chain_id end)::numeric,
            j.error ->> 'code',
            j.error ->> 'message',
            j.error ->> 'scope'
        )::balance_sync.result order by j.place),
        (array_agg(format('results[%s] (id %s): %s', j.place - 1, coalesce(j.id, 'none'), j.problem) order by j.place)
            filter (where j.problem is not null))[1]
    into parsed, problem
    from judged as j;

    if problem is not null then
        raise exception 'Cannot record wallet balances: %', problem using errcode = '22023';
    end if;

    select p.id into repeated from unnest(parsed) as p group by p.id having count(*) > 1 limit 1;
    if repeated is not null then
        raise exception 'Cannot record wallet balances: expected one result per row, found several for id %', repeated
            using errcode = '22023';
    end if;
    return coalesce(parsed, '{}');
end
$$;


-- Marks chains out that gave nothing but chain-scoped errors, and chains that gave anything else as
-- answering. Of many workers that meet the same outage, the first marks it; from then on only the
-- probe's failure lengthens it (30 s, 1 min, … up to 10 minutes).
create function balance_sync.note_chains(claim_id uuid, answered uuid[], silent uuid[], errors text[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
    base_seconds integer := (select s.backoff_base_seconds from balance_sync.settings as s);
begin
    -- In one order, so that two records never wait for each other.
    perform from balance_sync.chain_state as s
    where s.chain_id = any (answered || silent)
    order by s.chain_id
    for update;

    update balance_sync.chain_state as s
    set out_since = null, out_until = null, outages = 0, probe_claim_id = null, error = null
    where s.chain_id = any (answered)
      and s.out_since is not null;

    insert into balance_sync.chain_state as s (chain_id, out_since, out_until, outages, error)
    select o.chain_id, now(), now() + balance_sync.backoff(1, base_seconds, 600), 1, o.error
    from unnest(silent, errors) as o (chain_id, error)
    order by o.chain_id
    on conflict (chain_id) do update set
        out_since = coalesce(s.out_since, excluded.out_since),
        out_until = now() + balance_sync.backoff(s.outages + 1, base_seconds, 600),
        outages = s.outages + 1,
        probe_claim_id = null,
        error = excluded.error
    where s.out_since is null
       or s.probe_claim_id = note_chains.claim_id
       or (s.out_until <= now() and s.probe_claim_id is null);
end
$$;


-- Keeps what is known of chains that gave values: the newest block, every five seconds at most, since
-- the row is one for all workers; and since when a chain gives only older blocks than that, for then
-- balances do not change and nothing fails. A chain whose row somebody is writing just now is left to
-- them.
create function balance_sync.note_heads(heads balance_sync.chain_head[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
    insert into balance_sync.chain_state as s (chain_id, evm_chain_id)
    select h.chain_id, h.evm_chain_id
    from unnest(heads) as h
    where not exists (select from balance_sync.chain_state as k where k.chain_id = h.chain_id)
    order by h.chain_id
    on conflict do nothing;

    update balance_sync.chain_state as s
    set
        last_block = greatest(s.last_block, h.block),
        last_block_at = now(),
        stale_since = case when h.block < s.last_block then coalesce(s.stale_since, now()) end,
        evm_chain_id = coalesce(h.evm_chain_id, s.evm_chain_id)
    from unnest(heads) as h
    where s.chain_id = h.chain_id
      and s.chain_id in (
          select k.chain_id
          from balance_sync.chain_state as k
          join unnest(heads) as n on n.chain_id = k.chain_id
          where k.last_block is null
             or k.last_block_at < now() - interval '5 seconds'
             or (k.stale_since is not null) <> (n.block < k.last_block)
          order by k.chain_id
          for update of k skip locked
      );
end
$$;


-- Writes one result per row for the rows this claim still holds, and releases them.
--
-- results  [{"id": uuid, "raw": "1500000", "block": "68123456", "evm_chain_id": "56"},
--           {"id": uuid, "error": {"code", "message", "scope"}}]; raw, block and evm_chain_id are decimal
--           text. evm_chain_id may be left out. Where it is given, the first one recorded is what the
--           chain is: a value from another is the error wrong_chain, whatever its URL says today.
--
-- A value sets the balance, unless a newer block is recorded already (`stale`: the lease is released,
-- nothing else). An error leaves the balance alone, counts, and backs the row off. An error of scope
-- "chain" is the chain's: last_error says so, but nothing is counted and the row is due again at the
-- usual interval; if the chain gave nothing else, it is marked out until a probe is due.
-- `lost`: rows this claim does not hold (any more), where nothing is written; so a repeated call is a
-- no-op and a late worker cannot overwrite a newer owner's work.
--
-- Answers {"recorded", "failed", "changed": n, "stale": [ids], "lost": [ids]}.
-- Errors: 22023 and nothing written for anything malformed, and for ids that are no wallet balance
-- (then `detail` is the array of them).
create function public.record_wallet_balances(claim_id uuid, results jsonb)
returns jsonb
language plpgsql
volatile
security definer
set search_path = ''
set timezone = 'UTC'
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    settings balance_sync.settings;
    given balance_sync.result[] := balance_sync.parse_results(record_wallet_balances.results);
    held_at tid[];
    unknown uuid[];
    worker text;
    answered uuid[];
    silent uuid[];
    errors text[];
    heads balance_sync.chain_head[];
    answer jsonb;
begin
    select * into strict settings from balance_sync.settings;

    -- Locked by a statement of its own: whoever had just been writing one of these rows (another
    -- worker's column, say) has moved it, and only a later snapshot finds it where it is now.
    held_at := array(
        select b.ctid
        from unnest(given) as g
        join public.wallet_balances as b on b.id = g.id
        where right(b.locked_by, 36) = record_wallet_balances.claim_id::text
          and b.locked_until > now()
        -- in the table's order, as an update that goes through all of it: the two never wait in a circle
        order by b.ctid
        -- and without waiting for transactions that only refer to one of the rows, a ledger's for instance
        for no key update of b
    );

    with held as materialized (
        select
            b.ctid as row_at,
            b.id,
            b.locked_by,
            b.on_chain_balance_raw as old_raw,
            b.consecutive_errors,
            a.chain_id,
            a.decimals,
            g.raw,
            g.block,
            g.evm_chain_id,
            case when g.evm_chain_id <> coalesce(c.evm_chain_id, s.evm_chain_id) then 'chain' else g.scope end as scope,
            case
                when g.code is not null then left(g.code || ': ' || coalesce(g.message, ''), 1000)
                when g.evm_chain_id <> coalesce(c.evm_chain_id, s.evm_chain_id)
                    then format('wrong_chain: expected a node of chain %s, found chain %s', coalesce(c.evm_chain_id, s.evm_chain_id), g.evm_chain_id)
                when a.decimals is null or a.decimals not between 0 and 77
                    then 'invalid_decimals: expected asset_on_chain.decimals between 0 and 77, found ' || coalesce(a.decimals::text, 'null')
            end as error,
            b.on_chain_block > g.block as is_stale
        from unnest(held_at) as h (row_at)
        join public.wallet_balances as b on b.ctid = h.row_at
        join unnest(given) as g on g.id = b.id
        left join public.asset_on_chain as a on a.id = b.asset_on_chain_id
        left join balance_sync.chain_settings as c on c.chain_id = a.chain_id
        left join balance_sync.chain_state as s on s.chain_id = a.chain_id
    ),
    recorded as (
        update public.wallet_balances as b
        set
            on_chain_balance_raw = held.raw::text,
            on_chain_balance_human = trim_scale((held.raw || 'e-' || held.decimals)::numeric),
            on_chain_block = held.block,
            last_checked = now(),
            last_processed_at = now(),
            sync_count = least(coalesce(b.sync_count, 0)::bigint + 1, case pg_typeof(b.sync_count) when 'smallint'::regtype then 32767 else 2147483647 end),
            updated_at = now(),
            consecutive_errors = 0,
            next_sync_at = now() + make_interval(secs => settings.sync_interval_seconds),
            processing_status = 'idle',
            locked_until = null,
            locked_by = null
        from held
        where b.ctid = held.row_at
          and held.error is null
          and held.is_stale is not true
        returning held.id, held.old_raw, held.raw, held.block
    ),
    failed as (
        update public.wallet_balances as b
        set
            error_count = least(coalesce(b.error_count, 0)::bigint + (held.scope is distinct from 'chain')::integer, case pg_typeof(b.error_count) when 'smallint'::regtype then 32767 else 2147483647 end),
            consecutive_errors = least(b.consecutive_errors, 2147483646) + (held.scope is distinct from 'chain')::integer,
            last_error = left(held.error, (select balance_sync.error_length())),
            last_error_at = now(),
            last_processed_at = now(),
            next_sync_at = case
                when held.scope is distinct from 'chain' then
                    now() + balance_sync.backoff(least(b.consecutive_errors, 2147483646) + 1, settings.backoff_base_seconds, settings.backoff_cap_seconds)
                else now() + make_interval(secs => settings.sync_interval_seconds)
            end,
            processing_status = 'idle',
            locked_until = null,
            locked_by = null
        from held
        where b.ctid = held.row_at
          and held.error is not null
        returning held.id
    ),
    stale as (
        update public.wallet_balances as b
        set
            last_processed_at = now(),
            next_sync_at = now() + make_interval(secs => settings.sync_interval_seconds),
            processing_status = 'idle',
            locked_until = null,
            locked_by = null
        from held
        where b.ctid = held.row_at
          and held.error is null
          and held.is_stale
        returning held.id
    ),
    changed as (
        insert into balance_sync.balance_changes (wallet_balance_id, old_raw, new_raw, block, run_id)
        select
            r.id,
            case when r.old_raw ~ '^[0-9]{1,78}$' then r.old_raw::numeric end,
            r.raw,
            r.block,
            (select u.id from balance_sync.runs as u where u.worker_id = (select left(h.locked_by, -37) from held as h limit 1))
        from recorded as r
        where r.old_raw is distinct from r.raw::text
        returning 1
    ),
    by_chain as (
        select
            h.chain_id,
            bool_and(h.error is not null and h.scope is not distinct from 'chain') as is_silent,
            min(h.error) as error,
            max(h.block) filter (where h.error is null) as block,
            max(h.evm_chain_id) filter (where h.error is null) as evm_chain_id
        from held as h
        where h.chain_id is not null
        group by h.chain_id
    ),
    lost as (
        select g.id from unnest(given) as g where not exists (select from held as h where h.id = g.id)
    )
    select
        jsonb_build_object(
            'recorded', (select count(*) from recorded),
            'failed', (select count(*) from failed),
            'changed', (select count(*) from changed),
            'stale', (select coalesce(jsonb_agg(s.id), '[]') from stale as s),
            'lost', (select coalesce(jsonb_agg(l.id), '[]') from lost as l)
        ),
        (select left(h.locked_by, -37) from held as h limit 1),
        array(select c.chain_id from by_chain as c where not c.is_silent),
        array(select c.chain_id from by_chain as c where c.is_silent order by c.chain_id),
        array(select c.error from by_chain as c where c.is_silent order by c.chain_id),
        array(select (c.chain_id, c.block, c.evm_chain_id)::balance_sync.chain_head from by_chain as c where c.block is not null),
        array(select l.id from lost as l where not exists (select from public.wallet_balances as b where b.id = l.id))
    into answer, worker, answered, silent, errors, heads, unknown;

    if cardinality(unknown) > 0 then
        raise exception 'Cannot record wallet balances: expected ids of wallet balances, found % that are none, the first is %',
            cardinality(unknown), unknown[1]
            using errcode = '22023', detail = to_jsonb(unknown)::text;
    end if;

    if exists (
        select from balance_sync.chain_state as s where s.chain_id = any (answered) and s.out_since is not null
    ) or cardinality(silent) > 0 then
        perform balance_sync.note_chains(claim_id, answered, silent, errors);
    end if;
    perform balance_sync.note_heads(heads);

    if worker is not null then
        perform balance_sync.note_run(worker, jsonb_build_object(
            'recorded', answer -> 'recorded',
            'changed', answer -> 'changed',
            'failed', answer -> 'failed',
            'stale', jsonb_array_length(answer -> 'stale'),
            'lost', jsonb_array_length(answer -> 'lost')
        ));
    end if;
    return answer;
end
$$;


revoke all on function public.record_wallet_balances(uuid, jsonb) from public, anon, authenticated;
grant execute on function public.record_wallet_balances(uuid, jsonb) to service_role;

grant create on schema balance_sync, public to balance_sync_worker;
alter function public.record_wallet_balances(uuid, jsonb) owner to balance_sync_worker;

do $$
declare
    owned regprocedure;
begin
    foreach owned in array array[
        'balance_sync.backoff(integer, integer, integer)', 'balance_sync.parse_results(jsonb)',
        'balance_sync.note_chains(uuid, uuid[], uuid[], text[])',
        'balance_sync.note_heads(balance_sync.chain_head[])'
    ]::regprocedure[]
    loop
        execute format('revoke all on function %s from public, anon, authenticated, service_role', owned);
        execute format('alter function %s owner to balance_sync_worker', owned);
    end loop;
end
$$;

revoke create on schema balance_sync, public from balance_sync_worker;
