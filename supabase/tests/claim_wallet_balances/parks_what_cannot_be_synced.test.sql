begin;
select plan(18);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
insert into chains (id, name, rpc_url, is_active) values (md5('dead')::uuid, 'dead', 'http://127.0.0.1:2', false);
insert into asset_on_chain (id, chain_id, asset_id, contract_address, decimals, is_native, is_active) values
    (md5('retired on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, '0xc', 18, false, false),
    (md5('BNB on dead')::uuid, md5('dead')::uuid, md5('BNB')::uuid, null, 18, true, true),
    (md5('token without contract')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, null, 18, false, true),
    (md5('token with empty contract')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, '', 18, false, true);
insert into user_wallet_addresses (wallet_id, chain_id, address, is_active) values
    (md5('alice')::uuid, md5('bsc')::uuid, '0xalice', true),
    (md5('alice')::uuid, md5('dead')::uuid, '0xalice', true),
    (md5('inactive')::uuid, md5('bsc')::uuid, '0xinactive', false),
    (md5('elsewhere')::uuid, md5('dead')::uuid, '0xelsewhere', true),
    (md5('two')::uuid, md5('bsc')::uuid, '0xone', true),
    (md5('two')::uuid, md5('bsc')::uuid, '0xtwo', true),
    (md5('same')::uuid, md5('bsc')::uuid, '0xsame', true),
    (md5('same')::uuid, md5('bsc')::uuid, '0xsame', true);
insert into wallet_balances (id, wallet_id, asset_on_chain_id) values
    (md5('healthy')::uuid, md5('alice')::uuid, md5('BNB on bsc')::uuid),
    (md5('asset inactive')::uuid, md5('alice')::uuid, md5('retired on bsc')::uuid),
    (md5('chain inactive')::uuid, md5('alice')::uuid, md5('BNB on dead')::uuid),
    (md5('no address')::uuid, md5('nobody')::uuid, md5('BNB on bsc')::uuid),
    (md5('address inactive')::uuid, md5('inactive')::uuid, md5('BNB on bsc')::uuid),
    (md5('address elsewhere')::uuid, md5('elsewhere')::uuid, md5('BNB on bsc')::uuid),
    (md5('no contract')::uuid, md5('alice')::uuid, md5('token without contract')::uuid),
    (md5('empty contract')::uuid, md5('alice')::uuid, md5('token with empty contract')::uuid),
    (md5('two addresses')::uuid, md5('two')::uuid, md5('BNB on bsc')::uuid),
    (md5('one address twice')::uuid, md5('same')::uuid, md5('BNB on bsc')::uuid);

create temporary table claim as select claim_wallet_balances('worker', 100) as answer;

select bag_eq(
    $$select jsonb_path_query(answer, '$.chains[*].balances[*].id') #>> '{}' from claim$$,
    $$values (md5('healthy')::uuid::text), (md5('one address twice')::uuid::text)$$,
    'what can be synced is claimed in the same call'
);
select is(
    (select count(*)::integer from wallet_balances where next_sync_at is null),
    8,
    'all else is parked'
);
select is(
    (select count(*)::integer from wallet_balances where next_sync_at is null and processing_status <> 'idle'),
    0,
    'and not leased'
);

select is(
    (select (error_count, consecutive_errors, last_error, last_error_at)::text from wallet_balances where id = md5(name)::uuid),
    (0, 0, null::text, null::timestamptz)::text,
    name || ' is no error of the row'
)
from unnest(array['asset inactive', 'chain inactive', 'no address', 'address inactive', 'address elsewhere']) as name;

select matches(
    (select last_error from wallet_balances where id = md5(name)::uuid),
    '^missing_contract_address: ',
    name || ' is an error of the row'
)
from unnest(array['no contract', 'empty contract']) as name;
select matches(
    (select last_error from wallet_balances where id = md5('two addresses')::uuid),
    '^ambiguous_address: ',
    'two addresses are an error of the row'
);
select is(
    (select (error_count, consecutive_errors, last_error_at, last_processed_at)::text from wallet_balances where id = md5(name)::uuid),
    (1, 1, now(), now())::text,
    name || ' counts once'
)
from unnest(array['no contract', 'two addresses']) as name;

select is(
    claim_wallet_balances('worker', 100),
    '{"claim_id": null, "claimed": 0, "chains": []}',
    'parked rows are not met again'
);
select is(
    (select sum(error_count)::integer from wallet_balances),
    3,
    'nor counted again'
);
select is(
    claim_wallet_balances('worker', 100, 60, jsonb_build_object('wallet_balance_ids', array[md5('no address')::uuid])) ->> 'claimed',
    '0',
    'a parked row that is asked for is not handed out while it cannot be synced'
);

update wallet_balances
set next_sync_at = null, processing_status = 'idle', locked_until = null, locked_by = null
where id = md5('healthy')::uuid;
select is(claim_wallet_balances('worker', 100) ->> 'claimed', '0', 'a row parked by hand stays parked');
select is(
    claim_wallet_balances('worker', 100, 60, jsonb_build_object('wallet_balance_ids', array[md5('healthy')::uuid])) ->> 'claimed',
    '1',
    'until it is asked for'
);

select * from finish();
rollback;
