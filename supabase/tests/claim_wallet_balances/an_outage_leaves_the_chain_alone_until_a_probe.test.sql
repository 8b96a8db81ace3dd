begin;
select plan(15);

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
insert into chains (id, name, rpc_url) values (md5('tron')::uuid, 'tron', 'http://127.0.0.1:2');
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('TRX on tron')::uuid, md5('tron')::uuid, md5('BNB')::uuid, 6, true);
insert into user_wallet_addresses (wallet_id, chain_id, address) values (md5('alice')::uuid, md5('tron')::uuid, 'Talice');
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    values (md5('tron of alice')::uuid, md5('alice')::uuid, md5('TRX on tron')::uuid);
create temporary table claim (answer jsonb);
create function pg_temp.claim(batch_size integer) returns text[] language sql as $$
    delete from claim;
    insert into claim select claim_wallet_balances('worker', batch_size);
    select array_agg(a #>> '{}' order by a #>> '{}') from claim, jsonb_path_query(answer, '$.chains[*].balances[*].address') as a
$$;
create function pg_temp.record(result jsonb) returns jsonb language sql as $$
    select record_wallet_balances(
        (answer ->> 'claim_id')::uuid,
        (select jsonb_agg(jsonb_build_object('id', b -> 'id') || result) from jsonb_path_query(answer, '$.chains[*].balances[*]') as b)
    ) from claim
$$;
create function pg_temp.due_and_idle() returns void language sql as $$
    update wallet_balances set next_sync_at = now(), processing_status = 'idle', locked_until = null, locked_by = null
$$;
create function pg_temp.down() returns jsonb language sql as $$
    select '{"error": {"code": "rpc_unreachable", "message": "no answer", "scope": "chain"}}'::jsonb
$$;

-- bsc goes down
update wallet_balances set next_sync_at = now() + interval '1 hour' where id = md5('tron of alice')::uuid;
select is(pg_temp.claim(10), array['0xalice', '0xbob'], 'the chain answers');
select is(
    pg_temp.record(pg_temp.down()),
    '{"recorded": 0, "failed": 2, "changed": 0, "stale": [], "lost": []}',
    'its rows fail'
);
select is(
    (select sum(error_count) + sum(consecutive_errors) from wallet_balances),
    0::bigint,
    'but no row counts an error'
);
select is(
    (select array_agg(distinct last_error) from wallet_balances where last_error is not null),
    array['rpc_unreachable: no answer'],
    'though each says what happened'
);
select cmp_ok(
    (select out_until from balance_sync.chain_state where chain_id = md5('bsc')::uuid),
    '>', now(),
    'the chain is out'
);

select pg_temp.due_and_idle();
select is(pg_temp.claim(10), array['Talice'], 'its rows are left alone while the other chain goes on');
select pg_temp.record('{"raw": "1", "block": "1"}');

-- the probe
update balance_sync.chain_state set out_until = now() where chain_id = md5('bsc')::uuid;
select is(cardinality(pg_temp.claim(1)), 1, 'the time for a probe has come');
create temporary table probe as select * from claim;
select is(pg_temp.claim(10), null, 'and there is one probe at a time');
delete from claim;
insert into claim select * from probe;

create temporary table before as select * from balance_sync.chain_state where chain_id = md5('bsc')::uuid;
select pg_temp.record(pg_temp.down());
select cmp_ok(
    (select outages from balance_sync.chain_state where chain_id = md5('bsc')::uuid),
    '>', (select outages from before),
    'a probe that fails lengthens the outage'
);
select is(
    (select out_since from balance_sync.chain_state where chain_id = md5('bsc')::uuid),
    (select out_since from before),
    'whose beginning stays'
);

select pg_temp.due_and_idle();
update wallet_balances set next_sync_at = now() + interval '1 hour' where id = md5('tron of alice')::uuid;
update balance_sync.chain_state set out_until = now() where chain_id = md5('bsc')::uuid;
select is(cardinality(pg_temp.claim(1)), 1, 'a second probe');
select is(pg_temp.record('{"raw": "1", "block": "1"}') ->> 'recorded', '1', 'that succeeds');
select is(
    (select (out_since, out_until, outages, error)::text from balance_sync.chain_state where chain_id = md5('bsc')::uuid),
    (null::timestamptz, null::timestamptz, 0, null::text)::text,
    'ends the outage'
);
select is(cardinality(pg_temp.claim(10)), 1, 'and the rest of the rows come');
select is(
    (select sum(error_count)::integer from wallet_balances),
    0,
    'after all this no row has counted an error'
);

select * from finish();
rollback;
