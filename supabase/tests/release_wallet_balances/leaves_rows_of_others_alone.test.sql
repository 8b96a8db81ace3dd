begin;
select plan(9);

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
create temporary table claim as select claim_wallet_balances('worker', 10) as answer;

select is(release_wallet_balances(gen_random_uuid()), 0, 'a claim that never was');
select is(
    (select release_wallet_balances((answer ->> 'claim_id')::uuid, '{}') from claim),
    0,
    'no ids: no rows'
);
select is(
    (select release_wallet_balances((answer ->> 'claim_id')::uuid, array[gen_random_uuid()]) from claim),
    0,
    'an id that no row has'
);
select is(
    (select count(*)::integer from wallet_balances where processing_status = 'processing'),
    3,
    'all are still leased'
);

update wallet_balances set locked_until = now() where id = md5('balance of alice')::uuid;
select is(
    (select release_wallet_balances((answer ->> 'claim_id')::uuid, array[md5('balance of alice')::uuid]) from claim),
    0,
    'a lease that has run out is held no more'
);
create temporary table other as select claim_wallet_balances('other', 10) as answer;
select is((select answer ->> 'claimed' from other), '1', 'somebody else has the row');
select is(
    (select release_wallet_balances((answer ->> 'claim_id')::uuid) from claim),
    2,
    'and keeps it'
);
select is(
    (select locked_by from wallet_balances where id = md5('balance of alice')::uuid),
    (select 'other:' || (answer ->> 'claim_id') from other),
    'untouched'
);
select throws_ok('select release_wallet_balances(null)', '22023', null, 'a null claim is refused');

select * from finish();
rollback;
