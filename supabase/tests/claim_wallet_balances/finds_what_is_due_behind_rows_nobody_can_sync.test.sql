begin;
select plan(5);

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
update chains set is_active = false where name = 'eth';
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('dead')::uuid, md5('eth')::uuid, md5('USDT')::uuid, 18, true);
insert into wallet_balances (wallet_id, asset_on_chain_id, next_sync_at)
    select gen_random_uuid(), md5('dead')::uuid, now() - interval '1 day' from generate_series(1, 5000);

select is(
    claim_wallet_balances('filtered', 10, "only" => '{"chain": "bsc"}') #>> '{chains,0,balances,0,id}',
    md5('balance')::uuid::text,
    'by the name of its chain, though no lane has it yet'
);
update wallet_balances set locked_until = now() where locked_until is not null;
select is(
    claim_wallet_balances('worker', 10) #>> '{chains,0,balances,0,id}',
    md5('balance')::uuid::text,
    'by itself, behind more rows than are dealt at a time'
);
update wallet_balances set locked_until = now() where locked_until is not null;
-- now() is the one clock that cannot be moved here
do $$ begin perform pg_sleep(0.6); end $$;
select is(claim_wallet_balances('late', 10) ->> 'claimed', '1', 'in a transaction that is half a second old');
select is(claim_wallet_balances('late', 10) ->> 'claimed', '0', 'once');
select is((select count(*)::integer from wallet_balances where locked_until > now()), 1, 'and nothing else');

select * from finish();
rollback;
