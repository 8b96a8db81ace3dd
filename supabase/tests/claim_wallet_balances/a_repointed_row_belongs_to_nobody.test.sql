begin;
select plan(6);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
insert into user_wallet_addresses (wallet_id, chain_id, address)
    select md5(name)::uuid, md5('bsc')::uuid, '0x' || name from unnest(array['alice', 'bob']) as name;
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    select md5('balance of ' || name)::uuid, md5(name)::uuid, md5('BNB on bsc')::uuid
    from unnest(array['alice', 'bob']) as name;
insert into user_wallet_addresses (wallet_id, chain_id, address) values (md5('carol')::uuid, md5('bsc')::uuid, '0xcarol');
create temporary table claim as select claim_wallet_balances('worker', 10) as answer;
update wallet_balances set wallet_id = md5('carol')::uuid where id = md5('balance of alice')::uuid;

select is(
    (select record_wallet_balances((answer ->> 'claim_id')::uuid, jsonb_build_array(
        jsonb_build_object('id', md5('balance of alice')::uuid, 'raw', '1', 'block', '1'),
        jsonb_build_object('id', md5('balance of bob')::uuid, 'raw', '2', 'block', '1')
    )) from claim),
    jsonb_build_object('recorded', 1, 'failed', 0, 'changed', 1, 'stale', '[]'::jsonb, 'lost', jsonb_build_array(md5('balance of alice')::uuid)),
    'what was read of the old wallet is lost'
);
select is(
    (select on_chain_balance_raw from wallet_balances where id = md5('balance of alice')::uuid),
    null,
    'and not written'
);
select is(
    jsonb_path_query_array(claim_wallet_balances('worker', 10), '$.chains[*].balances[*].address'),
    '["0xcarol"]',
    'the row is due at once, with its new address'
);

update wallet_balances set on_chain_block = 1000;
update wallet_balances set needs_gas = true, priority = 3;
select is(
    (select count(*)::integer from wallet_balances where on_chain_block = 1000),
    2,
    'a change of other columns repoints nothing'
);
update wallet_balances set wallet_id = wallet_id;
select is(
    (select count(*)::integer from wallet_balances where on_chain_block = 1000),
    2,
    'nor does a wallet that stays the same'
);
update wallet_balances set wallet_id = md5('bob')::uuid where id = md5('balance of alice')::uuid;
select is(
    (select on_chain_block from wallet_balances where id = md5('balance of alice')::uuid),
    null,
    'the block of the old wallet says nothing about the new one'
);

select * from finish();
rollback;
