begin;
select plan(14);

create function pg_temp.warnings()
returns text
language sql
as $$ select string_agg(w, '; ') from jsonb_array_elements_text(balance_sync_status() -> 'warnings') as w $$;

select vault.create_secret('http://127.0.0.1:9/functions/v1/balance-sync', 'balance_sync_url');
select vault.create_secret('secret', 'balance_sync_secret');
select is(
    pg_temp.warnings(),
    'expected the job balance-sync, found none: nothing runs by itself (select balance_sync.schedule();)',
    'a job that is missing'
);

select balance_sync.schedule();
select is(pg_temp.warnings(), null, 'none when all is there');

select cron.alter_job(jobid, active := false) from cron.job where jobname = 'balance-sync';
select alike(pg_temp.warnings(), '%is paused (select cron.alter_job(%', 'a job that is paused');
select cron.alter_job(jobid, active := true) from cron.job where jobname = 'balance-sync';

update balance_sync.settings set max_parallel_runs = 0;
select alike(pg_temp.warnings(), '%max_parallel_runs is 0%', 'a limit of no runs');
update balance_sync.settings set max_parallel_runs = 4;

-- after the secrets were set, which is now
insert into balance_sync.runs (worker_id, queued_at, ended_at, stopped_because, error) values
    ('1', now() + interval '1 second', now(), 'not_accepted', 'http_500'),
    ('2', now() + interval '2 seconds', now(), 'drained', null),
    ('3', now() + interval '3 seconds', now(), 'not_accepted', 'http_404'),
    ('4', now() + interval '4 seconds', now(), 'not_accepted', 'http_401'),
    ('5', now() + interval '5 seconds', null, null, null);
select alike(
    pg_temp.warnings(),
    '2 dispatched runs in a row came to nothing, the newest with http_401: the Vault secret balance_sync_secret is none of%',
    'dispatches that fail, since the last one that did not'
);
update balance_sync.runs set ended_at = now(), stopped_because = 'drained' where worker_id = '5';
select is(pg_temp.warnings(), null, 'until one has worked again');
delete from balance_sync.runs;

insert into chains (id, name) values ('00000000-0000-0000-0000-0000000000c1', 'bsc');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true);
insert into wallet_balances (wallet_id, asset_on_chain_id, next_sync_at)
values (gen_random_uuid(), '00000000-0000-0000-0000-0000000000b1', now() - interval '4 minutes 59 seconds');
select is(pg_temp.warnings(), null, 'a row that has been due for less than five minutes is no reason');
update wallet_balances set next_sync_at = now() - interval '5 minutes 1 second';
select alike(pg_temp.warnings(), '%no run has ever finished%', 'rows due for longer while no run finishes');

insert into balance_sync.runs (worker_id, heartbeat_at, ended_at, stopped_because)
values ('1', now(), now() - interval '10 minutes', 'drained');
select alike(pg_temp.warnings(), '%no run has finished for 10 minutes%', 'and since when');
update balance_sync.runs set ended_at = now() - interval '4 minutes';
select is(pg_temp.warnings(), null, 'not while runs finish');

insert into balance_sync.lanes (chain_id, part) values ('00000000-0000-0000-0000-0000000000c1', 0);
update wallet_balances set sync_lane = (select lane from balance_sync.lanes);
update balance_sync.runs set ended_at = now() - interval '10 minutes';
select alike(pg_temp.warnings(), '%no run has finished for 10 minutes%', 'rows in a lane count as those in none');
update wallet_balances set locked_until = now() + interval '1 minute';
select is(pg_temp.warnings(), null, 'a row that is leased is being worked on');
update wallet_balances set locked_until = null;
insert into balance_sync.chain_state (chain_id, out_since, out_until)
values ('00000000-0000-0000-0000-0000000000c1', now(), now() + interval '1 minute');
select is(pg_temp.warnings(), null, 'a chain that is out has a warning of its own');

set local role service_role;
select throws_ok('select balance_sync.schedule_warnings()', '42501', null, 'service_role learns of them through the status alone');

select * from finish();
rollback;
