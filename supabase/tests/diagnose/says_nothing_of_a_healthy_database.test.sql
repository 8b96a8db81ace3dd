begin;
select plan(6);

select bag_eq(
    'select finding, severity from balance_sync.diagnose()',
    $$ values ('vault_secret_missing', 'error'), ('vault_secret_missing', 'error'), ('job_missing', 'error') $$,
    'an empty project lacks what it takes to begin'
);

select vault.create_secret('http://127.0.0.1:9/functions/v1/balance-sync', 'balance_sync_url');
select vault.create_secret('secret', 'balance_sync_secret');
select balance_sync.schedule();
select is_empty('select * from balance_sync.diagnose()', 'and nothing once it has that');

insert into chains (id, name, rpc_url) values ('00000000-0000-0000-0000-0000000000c1', 'bsc', 'http://127.0.0.1:9');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true, 18);
insert into user_wallet_addresses (wallet_id, chain_id, address)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c1', '0x' || repeat('a1', 20));
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
values ('00000000-0000-0000-0000-0000000000d1', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1');
select is_empty('select * from balance_sync.diagnose()', 'nor of rows that wait for their first sync');

select public.claim_wallet_balances('w') ->> 'claim_id' as claim into temporary t;
select is_empty('select * from balance_sync.diagnose()', 'nor of rows that are leased');
select public.record_wallet_balances((select claim::uuid from t), '[{"id": "00000000-0000-0000-0000-0000000000d1", "raw": "1", "block": "5"}]');
select is_empty('select * from balance_sync.diagnose()', 'nor of rows that are synced');

set local role service_role;
select throws_ok('select * from balance_sync.diagnose()', '42501', null, 'it is for the owner of the database');

select * from finish();
rollback;
