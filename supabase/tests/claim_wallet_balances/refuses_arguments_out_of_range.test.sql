begin;
select plan(26);

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
create temporary table bad (arguments text, why text);
insert into bad values
    ($$null$$, 'no worker_id'),
    ($$''$$, 'an empty worker_id'),
    ($$'worker', 0$$, 'batch_size 0'),
    ($$'worker', -1$$, 'batch_size -1'),
    ($$'worker', 1, 0$$, 'lock_seconds 0'),
    ($$'worker', 1, -1$$, 'lock_seconds -1'),
    ($$'worker', 1, 1, '[]'$$, 'only: an array'),
    ($$'worker', 1, 1, '"bsc"'$$, 'only: a string'),
    ($$'worker', 1, 1, 'null'$$, 'only: a JSON null'),
    ($$'worker', 1, 1, '{"ids": []}'$$, 'only: an unknown key'),
    ($$'worker', 1, 1, '{"chain": "bsc", "asset": "BNB"}'$$, 'only: an unknown key beside a known one'),
    ($$'worker', 1, 1, '{"chain": 1}'$$, 'only: a chain that is no name'),
    ($$'worker', 1, 1, '{"chain": "nowhere"}'$$, 'only: a chain that does not exist'),
    ($$'worker', 1, 1, '{"wallet_ids": "x"}'$$, 'only: wallet_ids that are no array'),
    ($$'worker', 1, 1, '{"wallet_ids": ["x"]}'$$, 'only: a wallet id that is no uuid'),
    ($$'worker', 1, 1, '{"wallet_ids": [null]}'$$, 'only: a wallet id that is null'),
    ($$'worker', 1, 1, '{"wallet_balance_ids": {}}'$$, 'only: wallet_balance_ids that are no array'),
    ($$'worker', 1, 1, '{"wallet_balance_ids": [1]}'$$, 'only: a wallet balance id that is no uuid'),
    ($$'worker', 1, 1, '{"ended": true}'$$, 'only: an end without a reason');

select throws_ok('select claim_wallet_balances(' || arguments || ')', '22023', null, why) from bad;
select is((select processing_status from wallet_balances), 'idle', 'nothing is leased by a refused claim');

select throws_like(
    $$select claim_wallet_balances('worker', 0)$$,
    '%batch_size of at least 1, found 0',
    'the message says what was expected and found'
);
select throws_like(
    $$select claim_wallet_balances('worker', 1, 1, '{"ids": []}')$$,
    '%unknown key "ids"%',
    'the message names the unknown key'
);
select lives_ok($$select claim_wallet_balances('w', 1, 1)$$, 'batch_size 1 and lock_seconds 1');
select lives_ok($$select claim_wallet_balances('w', 1, 1, '{}')$$, 'only: nothing');
select lives_ok($$select claim_wallet_balances('w', 1, 1, '{"wallet_ids": []}')$$, 'only: no wallets');
select is(
    claim_wallet_balances('w', 1, 1, '{"wallet_balance_ids": []}'),
    '{"claim_id": null, "claimed": 0, "chains": []}',
    'a filter that names no row claims none'
);

select * from finish();
rollback;
