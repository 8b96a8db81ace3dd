begin;
select plan(12);

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
insert into chains (id, name, rpc_url) values (md5('tron')::uuid, 'tron', 'http://user:key@127.0.0.1:2/path?token=t');
create function pg_temp.status(key text) returns jsonb language sql as $$ select balance_sync_status() -> key $$;
create function pg_temp.chain(name text) returns jsonb language sql as $$
    select c from jsonb_array_elements(balance_sync_status() -> 'chains') as c where c ->> 'name' = chain.name
$$;

select is(pg_temp.status('due'), '3', 'due before any claim');
select claim_wallet_balances('worker', 1);
select is(pg_temp.status('due'), '2', 'due after a claim');
select is(pg_temp.status('leased'), '1', 'leased');
update wallet_balances set next_sync_at = next_sync_at - interval '90 seconds' where processing_status = 'idle';
select is(pg_temp.status('oldest_due_seconds'), '90', 'the longest due');
select is(pg_temp.chain('bsc') ->> 'due', '2', 'due on a chain');
select is(pg_temp.chain('tron') ->> 'due', '0', 'due on a chain without rows');

update wallet_balances set next_sync_at = null where processing_status = 'idle';
select is(pg_temp.status('parked'), '2', 'parked');
select is(pg_temp.status('due'), '0', 'and not due');

insert into balance_sync.chain_state (chain_id, out_since, out_until, outages, error, last_block)
    values (md5('tron')::uuid, now(), now() + interval '1 minute', 1, 'rpc_unreachable: no answer', 12345678901234567890);
select is(pg_temp.chain('tron') ->> 'error', 'rpc_unreachable: no answer', 'an outage');
select is(pg_temp.chain('tron') -> 'last_block', '"12345678901234567890"', 'a block is text');
select is(pg_temp.status('live_runs'), '1', 'live runs');
select unalike(balance_sync_status()::text, '%token=%', 'no URL is told');

select * from finish();
rollback;
