begin;
select plan(7);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
insert into user_wallet_addresses (wallet_id, chain_id, address)
    select md5(name)::uuid, md5('bsc')::uuid, '0x' || name from unnest(array['alice', 'bob', 'carol']) as name;
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    select md5('balance of ' || name)::uuid, md5(name)::uuid, md5('BNB on bsc')::uuid
    from unnest(array['alice', 'bob', 'carol']) as name;
update wallet_balances set next_sync_at = now() - interval '1 hour';
select balance_sync.deal_lanes(100);
create temporary table before as select * from wallet_balances;
create temporary table claim as select claim_wallet_balances('worker', 10) as answer;

select is(
    (select release_wallet_balances((answer ->> 'claim_id')::uuid, array[md5('balance of bob')::uuid]) from claim),
    1,
    'one row by id'
);
select is(
    (select array_agg(id) from wallet_balances where processing_status = 'idle'),
    array[md5('balance of bob')::uuid],
    'and no other'
);
select is(
    (select release_wallet_balances((answer ->> 'claim_id')::uuid) from claim),
    2,
    'without ids: all that the claim still holds'
);
select bag_eq('select * from wallet_balances', 'select * from before', 'every column is as it was before the claim');
select is(claim_wallet_balances('other', 10) ->> 'claimed', '3', 'the rows are due at once');
select is(
    (select released from balance_sync.runs where worker_id = 'worker'),
    3::bigint,
    'the ledger counts them'
);
select is(
    (select sum(error_count)::integer from wallet_balances),
    0,
    'no error is counted'
);

select * from finish();
rollback;
