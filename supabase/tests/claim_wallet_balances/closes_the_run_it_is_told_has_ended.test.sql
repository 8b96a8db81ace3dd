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
create temporary table run as select gen_random_uuid() as id, 'balance-sync:' || gen_random_uuid() as worker_id;
update run set worker_id = 'balance-sync:' || id;

select claim_wallet_balances((select worker_id from run));
select is(
    (select (id, batches, claimed, ended_at)::text from balance_sync.runs),
    (select (id, 1, 1, null::timestamptz)::text from run),
    'a claim opens the run its worker names'
);
select is(
    claim_wallet_balances((select worker_id from run), "only" => '{"ended": {"because": "drained", "error": null}}'),
    '{"claim_id": null, "claimed": 0, "chains": []}',
    'a good-bye claims nothing'
);
select is(
    (select (ended_at, stopped_because, error)::text from balance_sync.runs),
    (now(), 'drained', null::text)::text,
    'and closes the run'
);

select claim_wallet_balances('somebody', "only" => '{"ended": {"because": "error", "error": "internal"}}');
select is(
    (select (stopped_because, error, claimed)::text from balance_sync.runs where worker_id = 'somebody'),
    ('error', 'internal', 0)::text,
    'a run that ended before its first claim is in the ledger too'
);

select is(claim_wallet_balances('idle worker') ->> 'claimed', '0', 'nothing is due');
select is(
    (select (batches, claimed)::text from balance_sync.runs where worker_id = 'idle worker'),
    (0, 0)::text,
    'an empty claim is no batch'
);
select is(
    (select count(*)::integer from balance_sync.runs where worker_id = (select worker_id from run)),
    1,
    'a worker has one run'
);

select * from finish();
rollback;
