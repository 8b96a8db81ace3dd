begin;
select plan(3);

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
insert into balance_sync.chain_state (chain_id, out_since, out_until, outages)
    values (md5('bsc')::uuid, now() - interval '1 hour', now(), 3);
create temporary table claim as select claim_wallet_balances('worker', 10) as answer;

select is((select answer ->> 'claimed' from claim), '1', 'the probe');
select release_wallet_balances((answer ->> 'claim_id')::uuid) from claim;
select is(
    (select (out_since is not null, outages)::text from balance_sync.chain_state),
    (true, 3)::text,
    'the chain is out as before'
);
select is(claim_wallet_balances('other', 10) ->> 'claimed', '1', 'and the next claim may try');

select * from finish();
rollback;
