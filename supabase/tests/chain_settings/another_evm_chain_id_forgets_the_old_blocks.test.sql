begin;
select plan(7);

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
create function pg_temp.sync(evm_chain_id text, block text) returns jsonb language sql as $$
    select record_wallet_balances(
        (claim_wallet_balances('worker', 1, "only" => '{"chain": "bsc"}') ->> 'claim_id')::uuid,
        jsonb_build_array(jsonb_build_object('id', md5('balance')::uuid, 'raw', '5', 'block', block, 'evm_chain_id', evm_chain_id))
    )
$$;

select is(pg_temp.sync('97', '90000000') ->> 'recorded', '1', 'a test network''s balance is recorded');
insert into balance_sync.chain_settings (chain_id, evm_chain_id) values (md5('bsc')::uuid, 56);
select is(pg_temp.sync('56', '100') ->> 'recorded', '1', 'told that it is another chain, lower blocks are new');
select is(pg_temp.sync('56', '99') #>> '{stale,0}', md5('balance')::uuid::text, 'and hold as any other');
select isnt((select stale_since from balance_sync.chain_state), null, 'a chain that gives older blocks only is noted');
update balance_sync.chain_settings set calls_per_request = 10;
select is((select on_chain_block from wallet_balances), 100::numeric, 'another setting forgets nothing');
select is(pg_temp.sync('56', '101') ->> 'recorded', '1', 'newer blocks');
select is((select stale_since from balance_sync.chain_state), null, 'end it');

select * from finish();
rollback;
