begin;
select plan(9);

select vault.create_secret('http://127.0.0.1:9/functions/v1/balance-sync', 'balance_sync_url');
select vault.create_secret('secret', 'balance_sync_secret');
insert into chains (id, name) values ('00000000-0000-0000-0000-0000000000c1', 'bsc');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true);
update balance_sync.settings set batch_size = 1, max_parallel_runs = 2;
insert into wallet_balances (wallet_id, asset_on_chain_id)
select gen_random_uuid(), '00000000-0000-0000-0000-0000000000b1' from generate_series(1, 1000);

select is(balance_sync.dispatch(), 2, 'a large backlog gets all the runs there may be');
select is(balance_sync.dispatch(), 0, 'queued runs count as live before they start');

update balance_sync.runs set started_at = now() - interval '20 seconds', heartbeat_at = now();
select is(balance_sync.dispatch(), 0, 'a tick in the middle of full runs adds none');

update balance_sync.runs set started_at = now() - interval '49 seconds';
select is(balance_sync.dispatch(), 0, 'nor does one eleven seconds before their deadline');
update balance_sync.runs set started_at = now() - interval '71 seconds';
select is(balance_sync.dispatch(), 0, 'nor one while they are long past it and still heard of');
update balance_sync.runs set started_at = now() - interval '59 seconds';
select is(balance_sync.dispatch(), 2, 'runs about to meet their deadline make room for the next');

delete from balance_sync.runs;
select balance_sync.dispatch();
update balance_sync.runs set ended_at = now(), stopped_because = 'drained'
where id = (select id from balance_sync.runs limit 1);
select is(balance_sync.dispatch(), 1, 'a run that ended is replaced, one for one');

delete from wallet_balances where id not in (select id from wallet_balances limit 30);
delete from balance_sync.runs where ended_at is not null;
delete from balance_sync.runs where id <> (select id from balance_sync.runs limit 1);
select is((select count(*)::integer from balance_sync.runs), 1, 'with one run live');
select is(balance_sync.dispatch(), 0, 'a backlog that one run can do gets no second');

select * from finish();
rollback;
