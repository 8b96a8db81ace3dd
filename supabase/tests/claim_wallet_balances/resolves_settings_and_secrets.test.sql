begin;
select plan(7);

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
select vault.create_secret('s3cret', 'node_key');
create function pg_temp.chain() returns jsonb language sql as $$
    update wallet_balances set next_sync_at = now(), locked_until = null;
    select claim_wallet_balances('worker') #> '{chains,0}'
$$;

select is(pg_temp.chain() -> 'settings', '{}', 'a chain without settings');

insert into balance_sync.chain_settings (chain_id, evm_chain_id, block_tag, rpc_headers)
    values (md5('bsc')::uuid, 56, 'finalized', '{"x-key": "vault:node_key", "x-plain": "p", "x-none": "vault:nothing"}');
select is(
    pg_temp.chain() -> 'settings',
    '{"evm_chain_id": 56, "block_tag": "finalized", "rpc_headers": {"x-key": "s3cret", "x-plain": "p", "x-none": null}}',
    'what is set, with secrets by their value and a missing secret as null'
);
select unalike(
    (select rpc_headers::text from balance_sync.chain_settings),
    '%s3cret%',
    'a secret is not stored in clear'
);

select is(pg_temp.chain() ->> 'adapter', 'evm', 'a chain is EVM');
update chains set name = 'Tron-shasta';
select is(pg_temp.chain() ->> 'adapter', 'tron', 'unless its name begins with tron');
update balance_sync.chain_settings set adapter = 'evm';
select is(pg_temp.chain() ->> 'adapter', 'evm', 'or its settings say otherwise');

update chains set rpc_url = null;
select is(pg_temp.chain() ->> 'rpc_url', null, 'a chain without a URL is handed out, for its adapter to refuse');

select * from finish();
rollback;
