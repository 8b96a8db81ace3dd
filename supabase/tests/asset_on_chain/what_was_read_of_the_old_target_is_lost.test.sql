begin;
select plan(11);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1'), (md5('eth')::uuid, 'eth', 'http://127.0.0.1:1');
insert into assets (id) values (md5('USDT')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, contract_address, decimals)
    values (md5('asset')::uuid, md5('bsc')::uuid, md5('USDT')::uuid, '0xold', 6);
insert into user_wallet_addresses (wallet_id, chain_id, address)
    select md5('alice')::uuid, c.id, '0xalice' from chains as c;
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    values (md5('balance')::uuid, md5('alice')::uuid, md5('asset')::uuid);
create function pg_temp.claim() returns jsonb language sql as $$ select claim_wallet_balances('worker', 10) $$;
create function pg_temp.record(claim jsonb, block text) returns jsonb language sql as $$
    select record_wallet_balances((claim ->> 'claim_id')::uuid, jsonb_build_array(
        jsonb_build_object('id', md5('balance')::uuid, 'raw', '5', 'block', block, 'evm_chain_id', '56')
    ))
$$;
create temporary table claimed as select pg_temp.claim() as claim;

update asset_on_chain set contract_address = '0xnew';
select is(
    (select pg_temp.record(claim, '10') -> 'lost' from claimed),
    jsonb_build_array(md5('balance')::uuid),
    'another contract: the old one''s balance is not written'
);
select is(pg_temp.claim() #>> '{chains,0,balances,0,contract_address}', '0xnew', 'and the row is due at once');

update asset_on_chain set decimals = 18;
update claimed set claim = pg_temp.claim();
select is((select claim ->> 'claimed' from claimed), '1', 'other decimals: the row is due at once');
select is((select pg_temp.record(claim, '90') ->> 'recorded' from claimed), '1', 'and recorded as ever');
update wallet_balances set next_sync_at = now();
update claimed set claim = pg_temp.claim();
update asset_on_chain set is_active = true;
select is((select pg_temp.record(claim, '91') ->> 'recorded' from claimed), '1', 'a change of anything else loses no lease');

update wallet_balances set next_sync_at = now();
update claimed set claim = pg_temp.claim();
update asset_on_chain set chain_id = md5('eth')::uuid;
select is(
    (select pg_temp.record(claim, '92') -> 'lost' from claimed),
    jsonb_build_array(md5('balance')::uuid),
    'another chain: the old one''s balance is not written'
);
select is(
    (select count(*)::integer from balance_sync.chain_state where chain_id = md5('eth')::uuid),
    0,
    'nor is its chain id taken for the new chain''s'
);
select is((select on_chain_block from wallet_balances), null, 'and its blocks are forgotten');
select is(pg_temp.claim() #>> '{chains,0,name}', 'eth', 'the row is due on the new chain');

update wallet_balances
set locked_by = null, locked_until = null, consecutive_errors = 9, next_sync_at = now() + interval '5 hours';
update asset_on_chain set contract_address = '0xnewer';
select is((select next_sync_at from wallet_balances), now(), 'a row that failed is due when its asset is mended');
update wallet_balances set next_sync_at = null;
update asset_on_chain set contract_address = '0xnewest';
select is((select next_sync_at from wallet_balances), null, 'a parked one stays parked until it is found to be readable');

select * from finish();
rollback;
