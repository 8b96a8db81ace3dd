begin;
select plan(5);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
insert into user_wallet_addresses (wallet_id, chain_id, address)
    select md5(name)::uuid, md5('bsc')::uuid, '0x' || name from unnest(array['alice']) as name;
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    select md5('balance of ' || name)::uuid, md5(name)::uuid, md5('BNB on bsc')::uuid
    from unnest(array['alice']) as name;
update wallet_balances set next_sync_at = now() + interval '1 second';

select is(
    claim_wallet_balances('worker'),
    '{"claim_id": null, "claimed": 0, "chains": []}',
    'a row due in a second is not due'
);
select is(
    (select processing_status from wallet_balances),
    'idle',
    'nothing is leased'
);

update wallet_balances set next_sync_at = now();
select is(
    (claim_wallet_balances('worker') ->> 'claimed')::integer,
    1,
    'a row due now is due'
);

delete from wallet_balances;
select is(
    claim_wallet_balances('worker'),
    '{"claim_id": null, "claimed": 0, "chains": []}',
    'a table without rows'
);

delete from user_wallet_addresses;
delete from asset_on_chain;
delete from chains;
select is(
    claim_wallet_balances('worker'),
    '{"claim_id": null, "claimed": 0, "chains": []}',
    'a database without chains'
);

select * from finish();
rollback;
