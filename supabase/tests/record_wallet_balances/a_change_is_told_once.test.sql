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
update wallet_balances set on_chain_balance_raw = '7', on_chain_block = 1 where id = md5('balance of bob')::uuid;
create function pg_temp.again(name text, result jsonb) returns jsonb language plpgsql as $$
begin
    update wallet_balances
    set processing_status = 'processing', locked_until = now() + interval '1 minute',
        locked_by = 'worker:' || (select answer ->> 'claim_id' from claim)
    where id = md5('balance of ' || name)::uuid;
    return pg_temp.record(pg_temp.result_of(name, result));
end
$$;

select is(
    pg_temp.record(
        pg_temp.result_of('alice', '{"raw": "0", "block": "10"}'),
        pg_temp.result_of('bob', '{"raw": "9", "block": "10"}')
    ) ->> 'changed',
    '2',
    'the first value and another value are changes'
);
select bag_eq(
    'select wallet_balance_id, old_raw, new_raw, block from balance_sync.balance_changes',
    $$values
        (md5('balance of alice')::uuid, null::numeric, 0::numeric, 10::numeric),
        (md5('balance of bob')::uuid, 7, 9, 10)$$,
    'with the old and the new value and the block'
);
select is(
    (select array_agg(distinct run_id) from balance_sync.balance_changes),
    (select array_agg(id) from balance_sync.runs where worker_id = 'worker'),
    'and the run'
);
select is(pg_temp.again('bob', '{"raw": "9", "block": "11"}') ->> 'changed', '0', 'the same value is no change');
select is(pg_temp.again('bob', '{"raw": "1", "block": "5"}') ->> 'changed', '0', 'a stale value is no change');
select is(pg_temp.again('bob', '{"error": {"code": "c", "message": "m"}}') ->> 'changed', '0', 'an error is no change');
select is((select count(*)::integer from balance_sync.balance_changes), 2, 'none of them is told');

update wallet_balances set on_chain_balance_raw = 'not a number' where id = md5('balance of bob')::uuid;
select is(
    pg_temp.again('bob', '{"raw": "9", "block": "12"}') ->> 'changed',
    '1',
    'a balance that somebody else spoiled is mended'
);
select is(
    (select old_raw from balance_sync.balance_changes order by id desc limit 1),
    null,
    'and told without an old value'
);

select * from finish();
rollback;
