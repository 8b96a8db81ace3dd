-- Gives rows of a claim back untouched: no error counted, due at once. Null ids: all of the claim,
-- found by reading the whole table (2 s at ten million rows), so whoever knows the ids passes them.
-- Returns how many rows were given back; rows the claim does not hold are left alone.
create function public.release_wallet_balances(claim_id uuid, wallet_balance_ids uuid[] default null)
returns integer
language plpgsql
volatile
security definer
set search_path = ''
set timezone = 'UTC'
set jit = off
as $$
declare
    held_at tid[];
    released integer;
    worker text;
begin
    if release_wallet_balances.claim_id is null then
        raise exception 'Cannot release wallet balances: expected a claim_id, found null' using errcode = '22023';
    end if;

    -- Locked first, by a statement of its own: see record_wallet_balances.
    held_at := array(
        select b.ctid
        from public.wallet_balances as b
        where right(b.locked_by, 36) = release_wallet_balances.claim_id::text
          and b.locked_until > now()
          and (release_wallet_balances.wallet_balance_ids is null or b.id = any (release_wallet_balances.wallet_balance_ids))
        order by b.ctid
        for no key update
    );
    select left(b.locked_by, -37)
    into worker
    from public.wallet_balances as b
    where b.ctid = held_at[1];

    update public.wallet_balances as b
    set processing_status = 'idle', locked_until = null, locked_by = null
    from unnest(held_at) as h (row_at)
    where b.ctid = h.row_at;
    get diagnostics released = row_count;

    -- A probe that gives its rows back has proved nothing: the next claim may try. Several chains are
    -- locked in one order, as a record does: see note_chains().
    perform from balance_sync.chain_state as s
    where s.probe_claim_id = release_wallet_balances.claim_id
    order by s.chain_id
    for update;
    update balance_sync.chain_state as s
    set out_until = now(), probe_claim_id = null
    where s.probe_claim_id = release_wallet_balances.claim_id;

    if worker is not null then
        perform balance_sync.note_run(worker, jsonb_build_object('released', released));
    end if;
    return released;
end
$$;

revoke all on function public.release_wallet_balances(uuid, uuid[]) from public, anon, authenticated;
grant execute on function public.release_wallet_balances(uuid, uuid[]) to service_role;

grant create on schema public to balance_sync_worker;
alter function public.release_wallet_balances(uuid, uuid[]) owner to balance_sync_worker;
revoke create on schema public from balance_sync_worker;
