begin;
select plan(9);

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

select is(
    pg_temp.record(pg_temp.result_of('alice', '{"raw": "1500000000000000000", "block": "68123456"}')),
    '{"recorded": 1, "failed": 0, "changed": 1, "stale": [], "lost": []}',
    'the answer counts it'
);
select is(
    (select (on_chain_balance_raw, on_chain_balance_human, on_chain_block)::text from wallet_balances where id = md5('balance of alice')::uuid),
    ('1500000000000000000', 1.5, 68123456)::text,
    'raw, human and block'
);
select is(
    (select (last_checked, last_processed_at, updated_at, sync_count)::text from wallet_balances where id = md5('balance of alice')::uuid),
    (now(), now(), now(), 1)::text,
    'when, and how often'
);
select is(
    (select (processing_status, locked_until, locked_by)::text from wallet_balances where id = md5('balance of alice')::uuid),
    ('idle', null::timestamptz, null::text)::text,
    'the lease has ended'
);
select is(
    (select next_sync_at from wallet_balances where id = md5('balance of alice')::uuid),
    now() + interval '30 seconds',
    'due again after sync_interval_seconds'
);
select is(
    (select (error_count, consecutive_errors, last_error, last_error_at)::text from wallet_balances where id = md5('balance of alice')::uuid),
    (0, 0, null::text, null::timestamptz)::text,
    'no error'
);
select is(
    (select processing_status from wallet_balances where id = md5('balance of bob')::uuid),
    'processing',
    'a row of the claim without a result stays leased'
);

update wallet_balances set consecutive_errors = 5, error_count = 7, last_error = 'old' where id = md5('balance of bob')::uuid;
select pg_temp.record(pg_temp.result_of('bob', '{"raw": "0", "block": "0"}'));
select is(
    (select (on_chain_balance_raw, on_chain_balance_human, on_chain_block)::text from wallet_balances where id = md5('balance of bob')::uuid),
    ('0', 0, 0)::text,
    'nothing at block 0 is a value too'
);
select is(
    (select (consecutive_errors, error_count, last_error)::text from wallet_balances where id = md5('balance of bob')::uuid),
    (0, 7, 'old')::text,
    'a success ends the row of failures and leaves their history'
);

select * from finish();
rollback;
