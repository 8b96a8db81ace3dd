begin;
select plan(2);

select balance_sync.schedule();
select cron.alter_job(jobid, active := false) from cron.job where jobname = 'balance-sync';
select balance_sync.schedule('15 seconds');

select results_eq(
    $$ select schedule, active from cron.job where jobname = 'balance-sync' $$,
    $$ values ('15 seconds', false) $$,
    'a paused job stays paused while its interval changes'
);
select ok(
    (select active from cron.job where jobname = 'balance-sync-prune'),
    'the other job is not paused with it'
);

select * from finish();
rollback;
