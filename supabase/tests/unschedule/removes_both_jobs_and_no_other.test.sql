begin;
select plan(3);

select is(balance_sync.unschedule(), 0, 'without jobs there is nothing to remove and no error');

select cron.schedule('balance-sync-of-another-kind', '30 seconds', 'select 1');
select balance_sync.schedule();
select is(balance_sync.unschedule(), 2, 'both jobs are removed');
select results_eq(
    $$ select jobname from cron.job where jobname like 'balance-sync%' $$,
    $$ values ('balance-sync-of-another-kind') $$,
    'a job that is not ours stays'
);

select * from finish();
rollback;
