begin;
select plan(8);

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

create temporary table claim as select claim_wallet_balances('worker', 10, 90) as answer;

select is(
    (select answer - 'claim_id' - 'locked_until' from claim),
    jsonb_build_object('claimed', 1, 'chains', jsonb_build_array(jsonb_build_object(
        'chain_id', md5('bsc')::uuid,
        'name', 'bsc',
        'adapter', 'evm',
        'rpc_url', 'http://127.0.0.1:1',
        'settings', '{}'::jsonb,
        'balances', jsonb_build_array(jsonb_build_object(
            'id', md5('balance of alice')::uuid,
            'address', '0xalice',
            'asset_id', md5('BNB')::uuid,
            'is_native', true,
            'contract_address', null,
            'decimals', 18
        ))
    ))),
    'the answer has what it takes to read the balance'
);
select matches(
    (select answer ->> 'claim_id' from claim),
    '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
    'the claim has an id'
);
select is(
    (select (answer ->> 'locked_until')::timestamptz from claim),
    now() + interval '90 seconds',
    'the answer says when the lease ends'
);
select is(
    (select processing_status from wallet_balances),
    'processing',
    'the row is being processed'
);
select is(
    (select locked_until from wallet_balances),
    now() + interval '90 seconds',
    'the row is leased as long as the answer says'
);
select is(
    (select locked_by from wallet_balances),
    (select 'worker:' || (answer ->> 'claim_id') from claim),
    'the row names the worker and the claim'
);
select is(
    (select next_sync_at from wallet_balances),
    now(),
    'the due time stays, so that an expired lease is due by itself'
);
select is(
    (select (sync_count, error_count, last_checked, last_processed_at, updated_at = created_at)::text from wallet_balances),
    (0, 0, null::timestamptz, null::timestamptz, true)::text,
    'nothing else is written'
);

select * from finish();
rollback;
