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
update wallet_balances
set on_chain_balance_raw = '7', on_chain_balance_human = 7, on_chain_block = 100, sync_count = 3, error_count = 1, consecutive_errors = 1,
    last_checked = now() - interval '1 hour', updated_at = now() - interval '1 hour';

select is(
    pg_temp.record(
        pg_temp.result_of('alice', '{"raw": "5", "block": "99"}'),
        pg_temp.result_of('bob', '{"raw": "5", "block": "100"}')
    ),
    jsonb_build_object('recorded', 1, 'failed', 0, 'changed', 1, 'stale', jsonb_build_array(md5('balance of alice')::uuid), 'lost', '[]'::jsonb),
    'block 99 after 100 is stale, block 100 after 100 is not'
);
select is(
    (select (on_chain_balance_raw, on_chain_balance_human, on_chain_block, last_checked, updated_at, sync_count)::text from wallet_balances where id = md5('balance of alice')::uuid),
    ('7', 7, 100, now() - interval '1 hour', now() - interval '1 hour', 3)::text,
    'a stale value is not written'
);
select is(
    (select (processing_status, locked_until, locked_by)::text from wallet_balances where id = md5('balance of alice')::uuid),
    ('idle', null::timestamptz, null::text)::text,
    'its lease has ended'
);
select is(
    (select error_count from wallet_balances where id = md5('balance of alice')::uuid),
    1,
    'it is no error'
);
select cmp_ok(
    (select next_sync_at from wallet_balances where id = md5('balance of alice')::uuid),
    '>', now(),
    'and the row is not due at once'
);
select is(
    (select (on_chain_balance_raw, on_chain_block)::text from wallet_balances where id = md5('balance of bob')::uuid),
    ('5', 100)::text,
    'a value of the same block is written'
);
select is(
    (select last_block from balance_sync.chain_state where chain_id = md5('bsc')::uuid),
    100::numeric,
    'the newest block of the chain is kept'
);

update wallet_balances set processing_status = 'processing', locked_until = now() + interval '1 minute', locked_by = 'worker:' || (select answer ->> 'claim_id' from claim);
select is(
    pg_temp.record(
        pg_temp.result_of('alice', '{"raw": "6", "block": "101"}'),
        pg_temp.result_of('bob', '{"raw": "6", "block": "340282366920938463463374607431768211456"}')
    ) ->> 'recorded',
    '2',
    'newer blocks are written, however large the number'
);
select is(
    (select on_chain_block from wallet_balances where id = md5('balance of bob')::uuid),
    340282366920938463463374607431768211456,
    'and kept exactly'
);

select * from finish();
rollback;
