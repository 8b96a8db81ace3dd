begin;
select plan(12);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
insert into user_wallet_addresses (wallet_id, chain_id, address) values (md5('alice')::uuid, md5('bsc')::uuid, '0xalice');
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    values (md5('row')::uuid, md5('alice')::uuid, md5('BNB on bsc')::uuid);
create function pg_temp.claimed() returns integer language sql as $$
    select (claim_wallet_balances('worker', 10) ->> 'claimed')::integer
$$;
create function pg_temp.due_and_idle() returns void language sql as $$
    update wallet_balances set next_sync_at = now(), processing_status = 'idle', locked_until = null, locked_by = null
$$;

update chains set is_active = false;
select is(pg_temp.claimed(), 0, 'the chain is inactive');
select is((select next_sync_at from wallet_balances), null, 'the row is parked');
update chains set is_active = true;
select is(pg_temp.claimed(), 1, 'the chain is active again');

select pg_temp.due_and_idle();
update asset_on_chain set is_active = false;
select is(pg_temp.claimed(), 0, 'the asset is inactive');
update asset_on_chain set is_active = true;
select is(pg_temp.claimed(), 1, 'the asset is active again');

select pg_temp.due_and_idle();
update user_wallet_addresses set is_active = false;
select is(pg_temp.claimed(), 0, 'the address is inactive');
update user_wallet_addresses set is_active = true;
select is(pg_temp.claimed(), 1, 'the address is active again');

select pg_temp.due_and_idle();
delete from user_wallet_addresses;
select is(pg_temp.claimed(), 0, 'there is no address');
insert into user_wallet_addresses (wallet_id, chain_id, address) values (md5('alice')::uuid, md5('bsc')::uuid, '0xalice');
select is(pg_temp.claimed(), 1, 'there is an address');

select pg_temp.due_and_idle();
update asset_on_chain set is_native = false;
select is(pg_temp.claimed(), 0, 'the token has no contract');
update asset_on_chain set contract_address = '0xc';
select is(pg_temp.claimed(), 1, 'the token has a contract');

select pg_temp.due_and_idle();
update chains set is_active = false;
select pg_temp.claimed();
update chains set rpc_url = 'http://127.0.0.1:9';
select is(pg_temp.claimed(), 0, 'a change that mends nothing brings nothing back');

select * from finish();
rollback;
