begin;
select plan(13);

insert into chains (id, name, rpc_url) values
    ('00000000-0000-0000-0000-0000000000c1', 'bsc', 'http://127.0.0.1:9'),
    ('00000000-0000-0000-0000-0000000000c2', 'polygon', 'http://127.0.0.1:9');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals) values
    ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true, 18),
    ('00000000-0000-0000-0000-0000000000b2', '00000000-0000-0000-0000-0000000000c2', '00000000-0000-0000-0000-0000000000a1', true, 18);
-- one id that names a wallet and an address, so that every source has something to say
insert into user_wallet_addresses (id, wallet_id, chain_id, address, is_active) values
    ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000009', '00000000-0000-0000-0000-0000000000c1', '0xb1d', true),
    ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c1', '0xda1', true),
    ('00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c1', '0x0ff', false);
create table wallets (id uuid primary key, address varchar(64));
insert into wallets values ('00000000-0000-0000-0000-000000000001', '0x3a1');
alter table wallet_balances add column address text;
insert into wallet_balances (id, wallet_id, asset_on_chain_id, address) values
    ('00000000-0000-0000-0000-0000000000d1', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1', '0x401'),
    ('00000000-0000-0000-0000-0000000000d2', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b2', '0x402'),
    ('00000000-0000-0000-0000-0000000000d3', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1', '0x403');

-- What a claim of everything carries: the last digit of each row's id with its address.
create function claimed() returns text language sql as $$
    select coalesce(string_agg(right(b ->> 'id', 1) || ' ' || (b ->> 'address'), ', ' order by b ->> 'id'), 'nothing')
    from jsonb_array_elements(public.claim_wallet_balances('w', 50) -> 'chains') as c,
        jsonb_array_elements(c -> 'balances') as b
$$;

select is(claimed(), '1 0xda1, 3 0xda1', 'user_wallet_addresses: the active address by wallet_id and chain');

select lives_ok($$ select balance_sync.use_address_source('user_wallet_addresses_by_id') $$);
select is(balance_sync.address_source(), 'user_wallet_addresses_by_id', 'the source in force is remembered');
select is(claimed(), '1 0xb1d, 3 0xb1d', 'user_wallet_addresses_by_id: by id, on the same chain; what was leased under the old source is claimed again');

select balance_sync.use_address_source('wallets');
select is(claimed(), '1 0x3a1, 2 0x3a1, 3 0x3a1', 'wallets without a chain: one address for all chains; rows that had none come back');

alter table wallets add column chain_id uuid references chains (id);
select balance_sync.use_address_source('wallets');
select is((select count(*)::integer from balance_sync.wallet_addresses), 2, 'wallets whose chain is null: for all chains as well');
update wallets set chain_id = '00000000-0000-0000-0000-0000000000c2';
select is(claimed(), '2 0x3a1', 'wallets with a chain: for that chain alone');

select balance_sync.use_address_source('wallet_balances');
select is(claimed(), '1 0x401, 2 0x402, 3 0x403', 'wallet_balances: each row its own, also two of one wallet on one chain');
select bag_eq(
    'select wallet_id, chain_id, address from balance_sync.wallet_addresses',
    $$ values
        ('00000000-0000-0000-0000-000000000001'::uuid, '00000000-0000-0000-0000-0000000000c1'::uuid, '0x401'),
        ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c2', '0x402'),
        ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c1', '0x403') $$,
    'the view shows the contract''s three columns'
);

update wallet_balances set locked_until = null, locked_by = null, processing_status = 'idle';
update wallet_balances set address = '' where id = '00000000-0000-0000-0000-0000000000d2';
select is(claimed(), '1 0x401, 3 0x403', 'an empty address is none');
update wallet_balances set address = '0x404' where id = '00000000-0000-0000-0000-0000000000d2';
select is(claimed(), '2 0x404', 'and its row comes back when it is filled in');

select balance_sync.use_address_source('user_wallet_addresses');
select is(claimed(), '1 0xda1, 3 0xda1', 'and back to the default');
select is(
    (select string_agg(distinct tgrelid::regclass::text, ', ') from pg_trigger where tgname like 'balance_sync_addresses_%'),
    'user_wallet_addresses',
    'with the triggers on its table and no other'
);

select * from finish();
rollback;
