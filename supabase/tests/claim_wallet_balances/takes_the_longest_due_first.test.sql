begin;
select plan(3);

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
update wallet_balances set next_sync_at = now() - interval '1 hour' where id = md5('balance of bob')::uuid;
update wallet_balances set next_sync_at = now() - interval '1 minute' where id = md5('balance of carol')::uuid;

prepare claimed as
    select (jsonb_path_query(claim_wallet_balances('worker', 1), '$.chains[*].balances[*].address')) #>> '{}';

select results_eq('claimed', array['0xbob'], 'due for an hour');
select results_eq('claimed', array['0xcarol'], 'due for a minute');
select results_eq('claimed', array['0xalice'], 'due now');

select * from finish();
rollback;
