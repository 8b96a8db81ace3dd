begin;
select plan(75);

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
create temporary table bad (element text, why text);
insert into bad values
    ('null', 'a null'),
    ('1', 'a number'),
    ('"x"', 'a string'),
    ('[]', 'an array'),
    ('{}', 'an empty object'),
    ('{"raw": "1", "block": "1"}', 'no id'),
    ('{"id": null, "raw": "1", "block": "1"}', 'id null'),
    ('{"id": "", "raw": "1", "block": "1"}', 'id empty'),
    ('{"id": 1, "raw": "1", "block": "1"}', 'id a number'),
    ('{"id": "alice", "raw": "1", "block": "1"}', 'id no uuid'),
    ('{"id": "00000000-0000-0000-0000-00000000000", "raw": "1", "block": "1"}', 'id one digit short');
insert into bad
select format('{"id": "%s", %s}', md5('balance of bob')::uuid, rest), why
from (values
    ('"block": "1"', 'neither raw nor error'),
    ('"raw": null, "block": "1"', 'raw null'),
    ('"raw": null, "error": null, "block": "1"', 'raw and error null'),
    ('"raw": "1", "block": "1", "error": {"code": "c", "message": "m"}', 'both raw and error'),
    ('"raw": 1, "block": "1"', 'raw a number'),
    ('"raw": true, "block": "1"', 'raw a boolean'),
    ('"raw": ["1"], "block": "1"', 'raw an array'),
    ('"raw": "", "block": "1"', 'raw empty'),
    ('"raw": " 1", "block": "1"', 'raw with a space before'),
    ('"raw": "1 ", "block": "1"', 'raw with a space behind'),
    ('"raw": "1\\n", "block": "1"', 'raw with a newline behind'),
    ('"raw": "+1", "block": "1"', 'raw with a plus'),
    ('"raw": "-1", "block": "1"', 'raw negative'),
    ('"raw": "-0", "block": "1"', 'raw minus nothing'),
    ('"raw": "1.5", "block": "1"', 'raw fractional'),
    ('"raw": "1.0", "block": "1"', 'raw with a point'),
    ('"raw": "1e3", "block": "1"', 'raw with an exponent'),
    ('"raw": "0x10", "block": "1"', 'raw hexadecimal'),
    ('"raw": "1_000", "block": "1"', 'raw with an underscore'),
    ('"raw": "NaN", "block": "1"', 'raw not a number'),
    ('"raw": "Infinity", "block": "1"', 'raw infinite'),
    ('"raw": "\\u0661", "block": "1"', 'raw in Arabic digits'),
    ('"raw": "115792089237316195423570985008687907853269984665640564039457584007913129639936", "block": "1"', 'raw 2^256'),
    ('"raw": "1000000000000000000000000000000000000000000000000000000000000000000000000000000", "block": "1"', 'raw of 79 digits'),
    ('"raw": "1"', 'no block'),
    ('"raw": "1", "block": null', 'block null'),
    ('"raw": "1", "block": 1', 'block a number'),
    ('"raw": "1", "block": ""', 'block empty'),
    ('"raw": "1", "block": "-1"', 'block negative'),
    ('"raw": "1", "block": "1.5"', 'block fractional'),
    ('"raw": "1", "block": "latest"', 'block a tag'),
    ('"error": "c"', 'error a string'),
    ('"error": []', 'error an array'),
    ('"error": {}', 'error empty'),
    ('"error": {"message": "m"}', 'error without code'),
    ('"error": {"code": "c"}', 'error without message'),
    ('"error": {"code": 1, "message": "m"}', 'code a number'),
    ('"error": {"code": "c", "message": null}', 'message null'),
    ('"error": {"code": "c", "message": "m", "scope": "world"}', 'scope unknown')
) as b (rest, why);

-- the bad one comes second: whatever is good before it must not be written either
select throws_ok(
    format('select pg_temp.record(pg_temp.result_of(''alice'', ''{"raw": "5", "block": "5"}''), %L)', element),
    '22023', null, why
)
from bad;
select throws_matching(
    format('select pg_temp.record(pg_temp.result_of(''alice'', ''{"raw": "5", "block": "5"}''), %L)', element),
    'results\[1\]',
    why || ': the message names the element'
)
from bad
where why in ('a null', 'no id', 'both raw and error', 'raw negative', 'raw 2^256', 'block null', 'scope unknown');

select throws_ok(
    format('select record_wallet_balances(%L, %s)', answer ->> 'claim_id', results),
    '22023', null, 'results ' || results
)
from claim, unnest(array['null', $$'null'$$, $$'{}'$$, $$'"[]"'$$, $$'1'$$]) as results;
select throws_like(
    format('select record_wallet_balances(%L, %L)', answer ->> 'claim_id', '{}'),
    '%expected results to be an array, found object',
    'the message says what was expected and found'
)
from claim;
select throws_ok(
    $$select pg_temp.record(pg_temp.result_of('alice', '{"raw": "5", "block": "5"}'), pg_temp.result_of('alice', '{"raw": "6", "block": "5"}'))$$,
    '22023', null, 'two results for one row'
);

create function pg_temp.unknown(out code text, out detail text) language plpgsql as $$
begin
    perform pg_temp.record(
        pg_temp.result_of('alice', '{"raw": "5", "block": "5"}'),
        '{"id": "00000000-0000-0000-0000-000000000001", "raw": "1", "block": "1"}'
    );
exception when others then
    get stacked diagnostics code = returned_sqlstate, detail = pg_exception_detail;
end
$$;
select results_eq(
    'select * from pg_temp.unknown()',
    $$values ('22023', '["00000000-0000-0000-0000-000000000001"]')$$,
    'an id that no row has, with the unknown ids as detail'
);

select is(
    (select array_agg(distinct (processing_status, on_chain_balance_raw, error_count)::text) from wallet_balances),
    array[('processing', null::text, 0)::text],
    'after all this nothing is written and the lease is as it was'
);
select is_empty('select * from balance_sync.balance_changes', 'and nothing has changed');

select is(
    pg_temp.record(
        pg_temp.result_of('alice', '{"raw": "115792089237316195423570985008687907853269984665640564039457584007913129639935", "block": "1"}'),
        pg_temp.result_of('bob', '{"error": {"code": "c", "message": "", "scope": "contract"}}')
    ) - 'changed',
    '{"recorded": 1, "failed": 1, "stale": [], "lost": []}',
    '2^256 - 1 and an empty message are accepted'
);
select lives_ok(
    $$select pg_temp.record(pg_temp.result_of('alice', '{"raw": "1", "block": "1", "error": null}'))$$,
    'an error that is null is none'
);
select lives_ok(
    $$select pg_temp.record(pg_temp.result_of('alice', '{"raw": null, "error": {"code": "c", "message": "m"}}'))$$,
    'a raw that is null is none'
);
select lives_ok(
    $$select pg_temp.record(jsonb_build_object('id', upper(md5('balance of alice')::uuid::text), 'raw', '1', 'block', '1'))$$,
    'a uuid in capitals is a uuid'
);
select lives_ok(
    $$select pg_temp.record(pg_temp.result_of('alice', '{"raw": "1", "block": "0"}'))$$,
    'block 0'
);
select lives_ok(
    $$select pg_temp.record(pg_temp.result_of('alice', '{"error": {"code": "c", "message": "m", "scope": null}}'))$$,
    'a scope that is null is the row'
);
select is(
    (select count(*)::integer from wallet_balances where processing_status = 'processing'),
    0,
    'both rows have been released by the first good call'
);
select is(
    (select on_chain_balance_raw from wallet_balances where id = md5('balance of alice')::uuid),
    '115792089237316195423570985008687907853269984665640564039457584007913129639935',
    'and the later ones wrote nothing'
);

select * from finish();
rollback;
