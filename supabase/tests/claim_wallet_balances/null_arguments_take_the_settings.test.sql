begin;
select plan(8);

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
update balance_sync.settings set batch_size = 2, max_batch_size = 2, lock_seconds = 45;

create temporary table claim as select claim_wallet_balances('worker') as answer;
select is((select answer ->> 'claimed' from claim), '2', 'batch_size');
select is(
    (select (answer ->> 'locked_until')::timestamptz from claim),
    now() + interval '45 seconds',
    'lock_seconds'
);

update wallet_balances set locked_until = now();
select is(claim_wallet_balances('worker', 2) ->> 'claimed', '2', 'as many as max_batch_size');
update wallet_balances set locked_until = now();
select is(claim_wallet_balances('worker', 3) ->> 'claimed', '2', 'never more than max_batch_size');
update wallet_balances set locked_until = now();
select is(claim_wallet_balances('worker', 2147483647) ->> 'claimed', '2', 'however large the number');

select throws_ok(
    'update balance_sync.settings set batch_size = 3',
    '23514', null, 'batch_size above max_batch_size is refused'
);
select throws_ok(
    'update balance_sync.settings set lock_seconds = 0',
    '23514', null, 'a lease of no time is refused'
);
select throws_ok(
    'insert into balance_sync.settings default values',
    '23505', null, 'there is one row of settings'
);

select * from finish();
rollback;
