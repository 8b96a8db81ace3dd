begin;
select plan(87);

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
create function pg_temp.human(decimals integer, raw text) returns text language plpgsql as $$
begin
    update asset_on_chain set decimals = human.decimals;
    update wallet_balances
    set processing_status = 'processing', locked_until = now() + interval '1 minute',
        locked_by = 'worker:' || (select answer ->> 'claim_id' from claim), on_chain_block = null
    where id = md5('balance of alice')::uuid;
    perform pg_temp.record(pg_temp.result_of('alice', jsonb_build_object('raw', human.raw, 'block', '1')));
    return (select on_chain_balance_human::text from wallet_balances where id = md5('balance of alice')::uuid);
end
$$;

select is(
    pg_temp.human(n, repeat('9', 77)),
    case n
        when 0 then repeat('9', 77)
        when 77 then '0.' || repeat('9', 77)
        else repeat('9', 77 - n) || '.' || repeat('9', n)
    end,
    n || ' decimals of the largest number of 77 digits'
)
from generate_series(0, 77) as n;

select is(pg_temp.human(18, '1'), '0.000000000000000001', 'one wei');
select is(pg_temp.human(18, '1500000000000000000'), '1.5', 'no trailing zeros');
select is(pg_temp.human(6, '1000000'), '1', 'a whole number');
select is(pg_temp.human(18, '0'), '0', 'nothing');
select is(
    pg_temp.human(0, '115792089237316195423570985008687907853269984665640564039457584007913129639935'),
    '115792089237316195423570985008687907853269984665640564039457584007913129639935',
    '2^256 - 1'
);
select is(
    pg_temp.human(18, '9007199254740993'),
    '0.009007199254740993',
    '2^53 + 1, which a float cannot hold'
);

select pg_temp.human(n, '1'), pg_temp.human(null, '1') from unnest(array[-1, 78]) as n limit 0;
create function pg_temp.error_with(decimals integer) returns text language plpgsql as $$
begin
    perform pg_temp.human(error_with.decimals, '123');
    return (select split_part(last_error, ':', 1) || ' ' || on_chain_balance_raw from wallet_balances where id = md5('balance of alice')::uuid);
end
$$;
select pg_temp.human(18, '42');
select is(pg_temp.error_with(null), 'invalid_decimals 42', 'decimals null is an error of the row');
select is(pg_temp.error_with(-1), 'invalid_decimals 42', 'decimals -1');
select is(pg_temp.error_with(78), 'invalid_decimals 42', 'decimals 78');

select * from finish();
rollback;
