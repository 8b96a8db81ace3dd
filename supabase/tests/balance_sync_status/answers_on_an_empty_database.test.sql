begin;
select plan(4);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
delete from asset_on_chain;
delete from chains;

select lives_ok('select balance_sync_status()', 'no rows, no chains, no runs');
select is(balance_sync_status() -> 'due', '0', 'nothing due');
select is(balance_sync_status() -> 'chains', '[]', 'no chains');
select is(balance_sync_status() -> 'oldest_due_seconds', 'null', 'nothing is the longest due');

select * from finish();
rollback;
