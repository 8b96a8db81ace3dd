begin;
select plan(4);

select vault.create_secret('http://127.0.0.1:9/functions/v1/balance-sync', 'balance_sync_url');
select vault.create_secret('secret', 'balance_sync_secret');
select balance_sync.schedule();
insert into chains (id, name, rpc_url) values ('00000000-0000-0000-0000-0000000000c1', 'bsc', 'http://127.0.0.1:9');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true, 18);
-- the pain of the first seed document: wallet_id is the id of the address, not of its wallet
insert into user_wallet_addresses (id, wallet_id, chain_id, address)
values ('00000000-0000-0000-0000-000000000001', gen_random_uuid(), '00000000-0000-0000-0000-0000000000c1', '0x' || repeat('a1', 20));
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
values ('00000000-0000-0000-0000-0000000000d1', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1');

select results_eq(
    'select finding, detail, affected, remedy from balance_sync.diagnose()',
    $$ values (
        'address_missing',
        'expected an address for the wallet of each row, found none (addresses come from "user_wallet_addresses"; "user_wallet_addresses_by_id" has some for more rows): 00000000-0000-0000-0000-0000000000d1',
        1::bigint,
        'select balance_sync.use_address_source(''user_wallet_addresses_by_id'');'
    ) $$,
    'before its first sync'
);
select public.claim_wallet_balances('w');
select is((select string_agg(finding, ', ') from balance_sync.diagnose()), 'address_missing', 'and after it was parked');

select balance_sync.use_address_source('user_wallet_addresses_by_id');
select is_empty('select * from balance_sync.diagnose()', 'the remedy is one call');
select is(
    public.claim_wallet_balances('w') #>> '{chains,0,balances,0,address}',
    '0x' || repeat('a1', 20),
    'and the row is synced'
);

select * from finish();
rollback;
