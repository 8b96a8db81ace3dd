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

create temporary table claim as select claim_wallet_balances('first') as answer;

select is(claim_wallet_balances('second') ->> 'claimed', '0', 'a leased row is not handed out');

update wallet_balances set locked_until = now() + interval '1 microsecond';
select is(claim_wallet_balances('second') ->> 'claimed', '0', 'nor one whose lease has a microsecond left');

update wallet_balances set locked_until = now();
select is(claim_wallet_balances('second') ->> 'claimed', '1', 'a lease that ends now has run out');
select isnt(
    (select locked_by from wallet_balances),
    (select 'first:' || (answer ->> 'claim_id') from claim),
    'the row has a new owner'
);

update wallet_balances set locked_until = null, locked_by = 'crashed', processing_status = 'processing';
select is(
    claim_wallet_balances('third') ->> 'claimed',
    '1',
    'a row marked by a worker that set no deadline does not wait for ever'
);

select * from finish();
rollback;
