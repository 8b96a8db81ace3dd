begin;
select plan(5);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
insert into user_wallet_addresses (wallet_id, chain_id, address)
    select md5('wallet ' || n)::uuid, md5('bsc')::uuid, '0x' || n from generate_series(1, 5000) as n;
insert into wallet_balances (wallet_id, asset_on_chain_id, next_sync_at)
    select md5('wallet ' || n)::uuid, md5('BNB on bsc')::uuid, null from generate_series(1, 5000) as n;
create function pg_temp.parked() returns integer language sql as $$
    select count(*)::integer from wallet_balances where next_sync_at is null
$$;

update chains set is_active = false;
update chains set is_active = true;
select is(pg_temp.parked(), 5000, 'the mending itself writes no row of the balances');

select claim_wallet_balances('worker', 1);
select cmp_ok(pg_temp.parked(), '<', 5000, 'a claim brings some back');
select cmp_ok(pg_temp.parked(), '>', 0, 'and not all');

select claim_wallet_balances('worker', 1) from generate_series(1, 10);
select is(pg_temp.parked(), 0, 'a few claims bring all of them back');
select is_empty('select * from balance_sync.unparking', 'and then there is nothing left to do');

select * from finish();
rollback;
