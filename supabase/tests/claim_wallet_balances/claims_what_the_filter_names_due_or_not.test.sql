begin;
select plan(9);

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
update wallet_balances set next_sync_at = now() + interval '1 hour';
insert into chains (id, name, rpc_url) values (md5('tron')::uuid, 'tron', 'http://127.0.0.1:2');
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('TRX on tron')::uuid, md5('tron')::uuid, md5('BNB')::uuid, 6, true);
insert into user_wallet_addresses (wallet_id, chain_id, address) values (md5('alice')::uuid, md5('tron')::uuid, 'Talice');
insert into wallet_balances (id, wallet_id, asset_on_chain_id, next_sync_at)
    values (md5('tron of alice')::uuid, md5('alice')::uuid, md5('TRX on tron')::uuid, now() + interval '1 hour');
create function pg_temp.claimed(only_these jsonb) returns text[] language sql as $$
    with claim as materialized (select claim_wallet_balances('worker', 10, 60, only_these) as answer)
    select array_agg(a #>> '{}' order by a #>> '{}')
    from claim, jsonb_path_query(answer, '$.chains[*].balances[*].address') as a
$$;
create function pg_temp.all_idle() returns void language sql as $$
    update wallet_balances set processing_status = 'idle', locked_until = null, locked_by = null
$$;

select is(claim_wallet_balances('worker') ->> 'claimed', '0', 'nothing is due');
select is(
    pg_temp.claimed(jsonb_build_object('wallet_balance_ids', array[md5('balance of bob')::uuid])),
    array['0xbob'],
    'rows by id'
);
select is(
    pg_temp.claimed(jsonb_build_object('wallet_balance_ids', array[md5('balance of bob')::uuid])),
    null,
    'never one that is leased'
);
select pg_temp.all_idle();
select is(
    pg_temp.claimed(jsonb_build_object('wallet_ids', array[md5('alice')::uuid, md5('carol')::uuid])),
    array['0xalice', '0xcarol', 'Talice'],
    'rows of wallets, on every chain'
);
select pg_temp.all_idle();
select is(
    pg_temp.claimed(jsonb_build_object('wallet_ids', array[md5('alice')::uuid], 'chain', 'tron')),
    array['Talice'],
    'rows of a wallet on one chain'
);
select pg_temp.all_idle();
select is(
    pg_temp.claimed(jsonb_build_object(
        'wallet_ids', array[md5('alice')::uuid],
        'wallet_balance_ids', array[md5('balance of alice')::uuid, md5('balance of bob')::uuid]
    )),
    array['0xalice'],
    'two filters: rows that pass both'
);
select pg_temp.all_idle();
select is(
    pg_temp.claimed(jsonb_build_object('wallet_balance_ids', array[gen_random_uuid()])),
    null,
    'an id that no row has'
);

-- by chain alone: rows that have been due once, in whatever lane
update wallet_balances set next_sync_at = now();
select balance_sync.deal_lanes(100);
update wallet_balances set next_sync_at = now() + interval '1 hour';
select is(pg_temp.claimed('{"chain": "bsc"}'), array['0xalice', '0xbob', '0xcarol'], 'rows of a chain');
select is(pg_temp.claimed('{"chain": "tron"}'), array['Talice'], 'rows of the other chain');

select * from finish();
rollback;
