begin;
select plan(4);

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

create temporary table results as select jsonb_build_array(
    pg_temp.result_of('alice', '{"raw": "5", "block": "5"}'),
    pg_temp.result_of('bob', '{"error": {"code": "c", "message": "m"}}')
) as r;
select is(
    (select record_wallet_balances((answer ->> 'claim_id')::uuid, r) from claim, results),
    '{"recorded": 1, "failed": 1, "changed": 1, "stale": [], "lost": []}',
    'the first call'
);
create temporary table after as select * from wallet_balances;

select is(
    (select record_wallet_balances((answer ->> 'claim_id')::uuid, r) - 'lost' from claim, results),
    '{"recorded": 0, "failed": 0, "changed": 0, "stale": []}',
    'the second call writes nothing'
);
select bag_eq('select * from wallet_balances', 'select * from after', 'every column is as it was');
select is(
    (select count(*)::integer from balance_sync.balance_changes),
    1,
    'and the change is told once'
);

select * from finish();
rollback;
