begin;
select plan(15);

insert into chains (id, name, rpc_url) values
    ('00000000-0000-0000-0000-0000000000c1', 'bsc', 'http://127.0.0.1:9'),
    ('00000000-0000-0000-0000-0000000000c2', 'polygon', 'http://127.0.0.1:9');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true, 18);
insert into wallet_balances (id, wallet_id, asset_on_chain_id) values
    ('00000000-0000-0000-0000-0000000000d1', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1'),
    ('00000000-0000-0000-0000-0000000000d2', '00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-0000000000b1');
alter table user_wallet_addresses add column last_used_at timestamptz;

create function state() returns text language sql as $$
    select string_agg(
        right(b.id::text, 1) || case
            when b.next_sync_at is null then ' parked'
            when b.locked_until > now() then ' leased'
            when b.next_sync_at > now() then ' later'
            else ' due'
        end, ', ' order by b.id)
    from public.wallet_balances as b
$$;

select public.claim_wallet_balances('w');
select is(state(), '1 parked, 2 parked', 'rows without an address are parked');

insert into user_wallet_addresses (wallet_id, chain_id, address)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c2', '0xa1');
select is(state(), '1 parked, 2 parked', 'an address on another chain changes nothing');
update user_wallet_addresses set chain_id = '00000000-0000-0000-0000-0000000000c1';
select is(state(), '1 due, 2 parked', 'moved to the right one, it makes that wallet''s row due');

insert into user_wallet_addresses (wallet_id, chain_id, address)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c1', '0xA1');
select is(jsonb_array_length(public.claim_wallet_balances('w') #> '{chains,0,balances}'), 1, 'one address in two spellings is one address');
select is(state(), '1 leased, 2 parked');

insert into user_wallet_addresses (wallet_id, chain_id, address)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c1', '0xb2');
select is(state(), '1 due, 2 parked', 'a row loses its lease with a new address: what is being read may be the old one''s');
select public.claim_wallet_balances('w');
select is(state(), '1 parked, 2 parked', 'two addresses are one too many');
delete from user_wallet_addresses where address = '0xb2';
select is(state(), '1 due, 2 parked', 'until one of them is deleted');

update wallet_balances set next_sync_at = now() + interval '1 hour', consecutive_errors = 5 where id = '00000000-0000-0000-0000-0000000000d1';
update user_wallet_addresses set last_used_at = now();
select is(state(), '1 later, 2 parked', 'other columns of the table are nobody''s business');
update user_wallet_addresses set address = '0xc3' where address = '0xa1';
select is(state(), '1 due, 2 parked', 'a corrected address ends a backoff');
update user_wallet_addresses set is_active = false where address = '0xA1';

select (public.claim_wallet_balances('w') ->> 'claim_id') as claim into temporary t;
select is(
    public.record_wallet_balances((select claim::uuid from t), '[{"id": "00000000-0000-0000-0000-0000000000d1", "raw": "1", "block": "5"}]') -> 'recorded',
    '1',
    'a balance of the address in force is recorded'
);
update user_wallet_addresses set address = '0xd4' where address = '0xc3';
select is(state(), '1 due, 2 parked', 'a new address is read at once');
select is(on_chain_block, null, 'whatever block the old one was read at') from wallet_balances where id = '00000000-0000-0000-0000-0000000000d1';

create table wallets (id uuid primary key, address text);
select balance_sync.use_address_source('wallets');
select public.claim_wallet_balances('w');
insert into user_wallet_addresses (wallet_id, chain_id, address)
values ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-0000000000c1', '0xa2');
select is(state(), '1 parked, 2 parked', 'a table that is not the source is not watched');
insert into wallets values ('00000000-0000-0000-0000-000000000002', '0xa2');
select is(state(), '1 parked, 2 due', 'the one that is, is');

select * from finish();
rollback;
