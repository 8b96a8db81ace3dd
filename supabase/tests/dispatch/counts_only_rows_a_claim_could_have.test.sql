begin;
select plan(13);

insert into chains (id, name) values
    ('00000000-0000-0000-0000-0000000000c1', 'bsc'),
    ('00000000-0000-0000-0000-0000000000c2', 'base');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals)
select
    ('00000000-0000-0000-0000-0000000000b' || n)::uuid,
    ('00000000-0000-0000-0000-0000000000c' || n)::uuid,
    '00000000-0000-0000-0000-0000000000a1', true, 18
from generate_series(1, 2) as n;
insert into user_wallet_addresses (wallet_id, chain_id, address)
select ('00000000-0000-0000-0000-00000000000' || n)::uuid, c.id, '0x' || n
from generate_series(1, 5) as n cross join chains as c;
select is(balance_sync.backlog(100), 0, 'an empty table has no backlog');

insert into wallet_balances (wallet_id, asset_on_chain_id)
select ('00000000-0000-0000-0000-00000000000' || n)::uuid, a.id
from generate_series(1, 5) as n cross join asset_on_chain as a;
select is(balance_sync.backlog(100), 10, 'due rows count before they are dealt into lanes');
select is(balance_sync.backlog(9), 9, 'counting stops where it is told to');

select is(claim_wallet_balances('w', 3) ->> 'claimed', '3', 'after a claim of three');
select is(balance_sync.backlog(100), 7, 'leased rows do not count');
update wallet_balances set locked_until = now() - interval '1 second' where locked_until is not null;
select is(balance_sync.backlog(100), 10, 'rows whose lease has run out do');

update wallet_balances set next_sync_at = now() + interval '1 second'
where id = (select id from wallet_balances where asset_on_chain_id = '00000000-0000-0000-0000-0000000000b1' limit 1);
select is(balance_sync.backlog(100), 9, 'a row due in a second does not count');
update wallet_balances set next_sync_at = null where next_sync_at > now();
select is(balance_sync.backlog(100), 9, 'a parked row does not count');

insert into balance_sync.chain_state (chain_id, out_since, out_until)
values ('00000000-0000-0000-0000-0000000000c2', now(), now() + interval '1 second');
select is(balance_sync.backlog(100), 4, 'rows of a chain that is out do not count');
update balance_sync.chain_state set out_until = now();
select is(balance_sync.backlog(100), 5, 'one does when the chain is to be probed');

delete from wallet_balances where next_sync_at is not null;
select is(balance_sync.backlog(100), 0, 'only a parked row is left');
insert into balance_sync.unparking (asset_on_chain_id) values ('00000000-0000-0000-0000-0000000000b1');
select is(balance_sync.backlog(100), 1, 'parked rows that wait to be made due need a claim');
select is(balance_sync.backlog(0), 1, 'however little is counted');

select * from finish();
rollback;
