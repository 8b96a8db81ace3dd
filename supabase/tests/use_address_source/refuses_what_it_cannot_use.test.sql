begin;
select plan(9);

select throws_ok(
    $$ select balance_sync.use_address_source('addresses') $$,
    '22023',
    'Cannot use the address source ''addresses'': expected user_wallet_addresses, user_wallet_addresses_by_id, wallets or wallet_balances',
    'an unknown source'
);
select throws_ok('select balance_sync.use_address_source(null)', '22023', null, 'no source');
select throws_ok(
    $$ select balance_sync.use_address_source('wallets') $$,
    '22023',
    'Cannot use the address source "wallets": expected table public.wallets, found none',
    'a table that is missing'
);
select throws_ok(
    $$ select balance_sync.use_address_source('wallet_balances') $$,
    '22023',
    'Cannot use the address source "wallet_balances": expected column public.wallet_balances.address of type text, found none',
    'a column that is missing'
);

create table wallets (id uuid primary key, chain_id text, address text);
select throws_ok(
    $$ select balance_sync.use_address_source('wallets') $$,
    '22023',
    'Cannot use the address source "wallets": expected column public.wallets.chain_id of type uuid, found text',
    'a column of another type'
);
drop table wallets;
create view wallets as select gen_random_uuid() as id, 'a'::text as address;
select throws_ok(
    $$ select balance_sync.use_address_source('wallets') $$,
    '22023',
    'Cannot use the address source "wallets": expected public.wallets to be a table, found something else',
    'a view, which cannot tell when an address changes'
);

select is(balance_sync.address_source(), 'user_wallet_addresses', 'a refusal changes nothing');
select is(
    (select count(*)::integer from pg_trigger where tgrelid = 'user_wallet_addresses'::regclass and tgname like 'balance_sync_addresses_%'),
    3,
    'not even the triggers'
);

set local role service_role;
select throws_ok($$ select balance_sync.use_address_source('wallets') $$, '42501', null, 'service_role may not');

select * from finish();
rollback;
