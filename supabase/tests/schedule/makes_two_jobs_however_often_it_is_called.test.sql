begin;
select plan(5);

select is(balance_sync.schedule(), '30 seconds', 'every 30 seconds by default');
select results_eq(
    $$ select jobname, schedule, command, active from cron.job where jobname like 'balance-sync%' order by 1 $$,
    $$ values
        ('balance-sync', '30 seconds', 'select balance_sync.dispatch()', true),
        ('balance-sync-prune', '*/10 * * * *', 'select balance_sync.prune()', true) $$,
    'one job dispatches and one prunes'
);
select is(balance_sync.schedule('*/5 * * * *'), '*/5 * * * *', 'cron fields are taken as they are');
select is(balance_sync.schedule(' 10  Seconds '), '10 seconds', 'spaces and capitals do not matter');
select results_eq(
    $$ select jobname, schedule from cron.job where jobname like 'balance-sync%' order by 1 $$,
    $$ values ('balance-sync', '10 seconds'), ('balance-sync-prune', '*/10 * * * *') $$,
    'another call changes how often, and adds no job'
);

select * from finish();
rollback;
