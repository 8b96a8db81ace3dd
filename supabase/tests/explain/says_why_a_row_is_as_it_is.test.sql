begin;
select plan(31);

insert into chains (id, name, rpc_url) values ('00000000-0000-0000-0000-0000000000c1', 'bsc', 'http://127.0.0.1:9');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true, 18);
insert into user_wallet_addresses (wallet_id, chain_id, address)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c1', '0xa1');
insert into wallet_balances (id, wallet_id, asset_on_chain_id, next_sync_at) values
    ('00000000-0000-0000-0000-0000000000d1', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1', now() - interval '1 minute'),
    ('00000000-0000-0000-0000-0000000000d2', '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1', now() - interval '2 minutes');

create function explained(path text) returns text language sql as $$
    select balance_sync.explain('00000000-0000-0000-0000-0000000000d1') #>> path::text[]
$$;

select is(
    balance_sync.explain('00000000-0000-0000-0000-0000000000ff'),
    '{"state": "missing", "because": "wallet_balances has no row with this id", "wallet_balance_id": "00000000-0000-0000-0000-0000000000ff"}',
    'a row that does not exist'
);

select is(explained('{state}'), 'due', 'a row whose turn it is');
select is(explained('{due,rows_ahead}'), '1', 'behind the one that has been due for longer');
select is(explained('{next_attempt_at}'), null, 'is not tried by itself while nobody syncs');
select alike(explained('{because}'), '%no job is active and nobody has synced for ten minutes%', 'and says so');
select balance_sync.schedule('30 seconds');
select is(explained('{next_attempt_at}')::timestamptz, now() + interval '30 seconds', 'with a job, it is at the next tick');
select is(explained('{address}'), '0xa1');
select is(explained('{address_source}'), 'user_wallet_addresses');

select public.claim_wallet_balances('balance-sync:00000000-0000-0000-0000-0000000000e1') ->> 'claim_id' as claim into temporary t;
select is(explained('{state}'), 'leased', 'a row in work');
select is(explained('{lease,worker}'), 'balance-sync:00000000-0000-0000-0000-0000000000e1', 'whose worker is named');
select is(explained('{lease,claim_id}'), (select claim from t));
select is(explained('{next_attempt_at}')::timestamptz, now() + interval '120 seconds', 'is free again when its lease ends');
select is(explained('{last_run,id}'), '00000000-0000-0000-0000-0000000000e1', 'with the run that holds it');

select public.record_wallet_balances((select claim::uuid from t), '[{"id": "00000000-0000-0000-0000-0000000000d1", "error": {"code": "call_reverted", "message": "paused"}}]');
select is(explained('{state}'), 'backing_off', 'a row that failed');
select is(explained('{errors,in_a_row}'), '1');
select alike(explained('{because}'), 'it failed 1 times in a row, the last time with: call_reverted: paused');
select is(explained('{next_attempt_at}')::timestamptz, (select next_sync_at from wallet_balances where id = '00000000-0000-0000-0000-0000000000d1'));
select is(explained('{last_run,id}') || explained('{last_run,is_certain}'), '00000000-0000-0000-0000-0000000000e1true', 'was seen by the only run of that moment');

update wallet_balances set consecutive_errors = 0, next_sync_at = now() + interval '20 seconds';
select is(explained('{state}'), 'scheduled', 'a row that was looked at lately');

insert into balance_sync.chain_state (chain_id, out_since, out_until, error)
values ('00000000-0000-0000-0000-0000000000c1', now() - interval '1 minute', now() + interval '5 minutes', 'rpc_timeout: endpoint 1 of 1');
select is(explained('{state}'), 'chain_out', 'a row whose chain does not answer');
select is(explained('{next_attempt_at}')::timestamptz, now() + interval '5 minutes', 'waits for the probe');
select alike(explained('{because}'), 'chain bsc has not answered since %: rpc_timeout: endpoint 1 of 1');
delete from balance_sync.chain_state;

update wallet_balances set next_sync_at = now();
update chains set is_active = false;
select is(explained('{state}'), 'due', 'a row that cannot be synced is due until a claim meets it');
select alike(explained('{because}'), '%parks it: its chain is inactive');
select public.claim_wallet_balances('w');
select is(explained('{state}'), 'parked', 'and parked from then on');
select is(explained('{because}'), 'it is parked until this is mended: its chain is inactive');
select is(explained('{next_attempt_at}'), null, 'with no attempt to come');
update chains set is_active = true;
select alike(explained('{because}'), '%the next claims make such rows due', 'until that is mended');
delete from balance_sync.unparking;
select alike(explained('{because}'), '%see balance_sync.diagnose()', 'a row parked for no reason is sent to the doctor');

alter table wallet_balances drop column last_processed_at;
select is(explained('{state}'), 'parked', 'a table without last_processed_at is explained too');

set local role service_role;
select throws_ok($$ select balance_sync.explain('00000000-0000-0000-0000-0000000000d1') $$, '42501', null, 'it is for the owner of the database');

select * from finish();
rollback;
