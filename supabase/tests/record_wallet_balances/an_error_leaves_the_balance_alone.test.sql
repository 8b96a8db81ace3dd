begin;
select plan(7);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
insert into user_wallet_addresses (wallet_id, chain_id, address)
    select md5(name)::uuid, md5('bsc')::uuid, '0x' || name from unnest(array['alice', 'bob']) as name;
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    select md5('balance of ' || name)::uuid, md5(name)::uuid, md5('BNB on bsc')::uuid
    from unnest(array['alice', 'bob']) as name;
create temporary table claim as select claim_wallet_balances('worker', 10) as answer;
create function pg_temp.record(variadic results jsonb[]) returns jsonb language sql as $$
    select record_wallet_balances((answer ->> 'claim_id')::uuid, to_jsonb(results)) from claim
$$;
create function pg_temp.result_of(name text, result jsonb) returns jsonb language sql as $$
    select jsonb_build_object('id', md5('balance of ' || name)::uuid) || result
$$;
update wallet_balances
set on_chain_balance_raw = '7', on_chain_balance_human = 7, on_chain_block = 5, sync_count = 3, error_count = 2,
    last_checked = now() - interval '1 hour'
where id = md5('balance of alice')::uuid;

select is(
    pg_temp.record(
        pg_temp.result_of('alice', '{"error": {"code": "call_reverted", "message": "balanceOf reverted: paused"}}'),
        pg_temp.result_of('bob', '{"raw": "1", "block": "1"}')
    ),
    '{"recorded": 1, "failed": 1, "changed": 1, "stale": [], "lost": []}',
    'beside a value'
);
select is(
    (select (on_chain_balance_raw, on_chain_balance_human, on_chain_block, last_checked, sync_count)::text from wallet_balances where id = md5('balance of alice')::uuid),
    ('7', 7, 5, now() - interval '1 hour', 3)::text,
    'the balance, its block, its age and its count stay'
);
select is(
    (select (error_count, consecutive_errors, last_error, last_error_at, last_processed_at)::text from wallet_balances where id = md5('balance of alice')::uuid),
    (3, 1, 'call_reverted: balanceOf reverted: paused', now(), now())::text,
    'the error is counted and told'
);
select is(
    (select (processing_status, locked_until, locked_by)::text from wallet_balances where id = md5('balance of alice')::uuid),
    ('idle', null::timestamptz, null::text)::text,
    'the lease has ended'
);
select is(
    (select on_chain_balance_raw from wallet_balances where id = md5('balance of bob')::uuid),
    '1',
    'the neighbour is recorded'
);
select is_empty(
    $$select * from balance_sync.balance_changes where wallet_balance_id = md5('balance of alice')::uuid$$,
    'an error is no change'
);

update wallet_balances set processing_status = 'processing', locked_until = now() + interval '1 minute', locked_by = 'worker:' || (select answer ->> 'claim_id' from claim);
select pg_temp.record(pg_temp.result_of('alice', jsonb_build_object('error', jsonb_build_object('code', 'c', 'message', repeat('long ', 1000)))));
select cmp_ok(
    (select length(last_error) from wallet_balances where id = md5('balance of alice')::uuid),
    '<=', 1000,
    'a message of 5,000 characters is cut'
);

select * from finish();
rollback;
