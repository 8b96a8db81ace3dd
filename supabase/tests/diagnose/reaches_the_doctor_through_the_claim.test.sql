begin;
select plan(8);

insert into chains (id, name, rpc_url, is_active) values
    ('00000000-0000-0000-0000-0000000000c1', 'bsc', 'http://127.0.0.1:9', true),
    ('00000000-0000-0000-0000-0000000000c2', 'polygon', 'http://127.0.0.1:9', false);
select vault.create_secret('key of bsc', 'bsc');
insert into balance_sync.chain_settings (chain_id, evm_chain_id, rpc_headers)
values ('00000000-0000-0000-0000-0000000000c1', 56, '{"x-key": "vault:bsc"}');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true, 18);
insert into wallet_balances (wallet_id, asset_on_chain_id) values (gen_random_uuid(), '00000000-0000-0000-0000-0000000000b1');
revoke select on chains from balance_sync_worker;

set local role service_role;
select claim_wallet_balances('doctor', "only" => '{"examine": true}') as answer into temporary examined;
reset role;

select is(answer ->> 'claim_id', null, 'nothing is claimed') from examined;
select is((select count(*)::integer from wallet_balances where locked_by is not null or next_sync_at is null), 0, 'nor parked');
select is((select count(*)::integer from balance_sync.runs), 0, 'nor written into the ledger');
select is(
    answer -> 'chains',
    '[{
        "chain_id": "00000000-0000-0000-0000-0000000000c1", "name": "bsc", "adapter": "evm", "rpc_url": "http://127.0.0.1:9",
        "settings": {"evm_chain_id": 56, "rpc_headers": {"x-key": "key of bsc"}}, "balances": [],
        "assets": [{"id": "00000000-0000-0000-0000-0000000000b1", "is_native": true, "contract_address": null, "decimals": 18}]
    }]',
    'the active chains come as a worker would be given them'
) from examined;
select ok(answer -> 'findings' @> '[{"finding": "job_missing", "severity": "error", "affected": 1}]', 'with what diagnose() found') from examined;
select ok(answer -> 'findings' @> '[{"finding": "worker_lacks_privilege"}]', 'even what the worker''s role lacks') from examined;
select throws_ok($$ select claim_wallet_balances('doctor', "only" => '{"examine": "all"}') $$, '22023', null, 'true is the only value');

set local role service_role;
select throws_ok('select balance_sync.examination()', '42501', null, 'there is no other way in');

select * from finish();
rollback;
