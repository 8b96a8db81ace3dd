begin;
select plan(5);

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
create temporary table claim as select claim_wallet_balances('worker', 10) as answer;
create function pg_temp.record(variadic results jsonb[]) returns jsonb language sql as $$
    select record_wallet_balances((answer ->> 'claim_id')::uuid, to_jsonb(results)) from claim
$$;
create function pg_temp.result_of(name text, result jsonb) returns jsonb language sql as $$
    select jsonb_build_object('id', md5('balance of ' || name)::uuid) || result
$$;

select is(
    pg_temp.record(
        pg_temp.result_of('alice', '{"error": {"code": "rpc_timeout", "message": "no answer", "scope": "chain"}}'),
        pg_temp.result_of('bob', '{"raw": "1", "block": "1"}')
    ),
    '{"recorded": 1, "failed": 1, "changed": 1, "stale": [], "lost": []}',
    'a chunk that timed out beside one that did not'
);
select is_empty('select * from balance_sync.chain_state where out_since is not null', 'does not mark the chain out');
select is(
    (select (error_count, consecutive_errors, last_error)::text from wallet_balances where id = md5('balance of alice')::uuid),
    (0, 0, 'rpc_timeout: no answer')::text,
    'nor count an error on the row'
);
select cmp_ok(
    (select next_sync_at from wallet_balances where id = md5('balance of alice')::uuid),
    '>', now(),
    'which is not due at once'
);

update wallet_balances set processing_status = 'processing', locked_until = now() + interval '1 minute', locked_by = 'worker:' || (select answer ->> 'claim_id' from claim);
select pg_temp.record(
    pg_temp.result_of('alice', '{"error": {"code": "rpc_timeout", "message": "no answer", "scope": "chain"}}'),
    pg_temp.result_of('bob', '{"error": {"code": "call_reverted", "message": "reverted", "scope": "row"}}')
);
select is_empty(
    'select * from balance_sync.chain_state where out_since is not null',
    'a reverted call is an answer of the chain too'
);

select * from finish();
rollback;
