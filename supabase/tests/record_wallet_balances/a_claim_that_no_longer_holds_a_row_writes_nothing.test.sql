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

-- the lease of alice runs out and somebody else takes the row; that of bob has just run out
update wallet_balances set locked_until = now() where id = md5('balance of alice')::uuid;
create temporary table other as select claim_wallet_balances('other', 1) as answer;
select is((select answer ->> 'claimed' from other), '1', 'another worker has the row');
update wallet_balances set locked_until = now() where id = md5('balance of bob')::uuid;
create temporary table before as select * from wallet_balances;

select is(
    (select jsonb_path_query_array(lost, '$[*] ? (@ == $a || @ == $b)', jsonb_build_object('a', md5('balance of alice')::uuid, 'b', md5('balance of bob')::uuid)) = lost
        and jsonb_array_length(lost) = 2
     from (select pg_temp.record(
        pg_temp.result_of('alice', '{"raw": "5", "block": "5"}'),
        pg_temp.result_of('bob', '{"raw": "5", "block": "5"}')
     ) -> 'lost' as lost) as r),
    true,
    'both are lost'
);
select bag_eq('select * from wallet_balances', 'select * from before', 'a late value writes nothing');
select pg_temp.record(pg_temp.result_of('alice', '{"error": {"code": "c", "message": "m"}}'));
select bag_eq('select * from wallet_balances', 'select * from before', 'nor does a late error');
select pg_temp.record(pg_temp.result_of('alice', '{"error": {"code": "c", "message": "m", "scope": "chain"}}'));
select is_empty('select * from balance_sync.chain_state where out_since is not null', 'nor does a late outage mark the chain');

select is(
    (select record_wallet_balances((answer ->> 'claim_id')::uuid, jsonb_build_array(pg_temp.result_of('alice', '{"raw": "9", "block": "9"}'))) ->> 'recorded' from other),
    '1',
    'the owner of now records'
);

-- both sides of the boundary
update wallet_balances
set processing_status = 'processing', locked_by = 'worker:' || (select answer ->> 'claim_id' from claim), locked_until = now() + interval '1 microsecond'
where id = md5('balance of bob')::uuid;
select is(
    pg_temp.record(pg_temp.result_of('bob', '{"raw": "5", "block": "5"}')) ->> 'recorded',
    '1',
    'a lease with a microsecond left holds'
);

select is(
    record_wallet_balances(gen_random_uuid(), jsonb_build_array(pg_temp.result_of('bob', '{"raw": "6", "block": "6"}'))) ->> 'recorded',
    '0',
    'a claim that never was holds nothing'
);
select is(
    record_wallet_balances(null, jsonb_build_array(pg_temp.result_of('bob', '{"raw": "6", "block": "6"}'))) ->> 'recorded',
    '0',
    'nor does a null claim'
);

select * from finish();
rollback;
