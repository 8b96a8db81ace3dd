begin;
select plan(48);

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
create function pg_temp.wait_after(failures integer) returns interval language plpgsql as $$
begin
    update wallet_balances
    set processing_status = 'processing', locked_until = now() + interval '1 minute',
        locked_by = 'worker:' || (select answer ->> 'claim_id' from claim), consecutive_errors = failures - 1
    where id = md5('balance of alice')::uuid;
    perform pg_temp.record(pg_temp.result_of('alice', '{"error": {"code": "c", "message": "m"}}'));
    return (select next_sync_at - now() from wallet_balances where id = md5('balance of alice')::uuid);
end
$$;

create temporary table waits as select n, pg_temp.wait_after(n) as waited from generate_series(1, 20) as n;
select cmp_ok(waited, '>=', make_interval(secs => least(30 * 2 ^ (n - 1), 21600 / 1.25)), n || ' failures: not sooner')
from waits;
select cmp_ok(waited, '<=', make_interval(secs => least(30 * 2 ^ (n - 1) * 1.25, 21600)), n || ' failures: not later')
from waits;

select cmp_ok(pg_temp.wait_after(2147483646), '<=', interval '6 hours', 'a failure count at the end of its range');
select is(
    (select consecutive_errors from wallet_balances where id = md5('balance of alice')::uuid),
    2147483646,
    'is counted on'
);
select cmp_ok(
    (select count(distinct pg_temp.wait_after(5)) from generate_series(1, 20)),
    '>', 10::bigint,
    'rows that fail together come back apart'
);

update balance_sync.settings set backoff_base_seconds = 10, backoff_cap_seconds = 100;
select cmp_ok(pg_temp.wait_after(1), '>=', interval '10 seconds', 'the base is a setting');
select cmp_ok(pg_temp.wait_after(1), '<=', interval '12.5 seconds', 'with a quarter of chance');
select cmp_ok(pg_temp.wait_after(30), '<=', interval '100 seconds', 'the cap is a setting');
select throws_ok(
    'update balance_sync.settings set backoff_cap_seconds = 9',
    '23514', null, 'a cap below the base is refused'
);
select is(
    (select count(*)::integer from wallet_balances where next_sync_at is null),
    0,
    'backing off parks nothing'
);

select * from finish();
rollback;
