begin;
select plan(2);

insert into cron.job_run_details (jobid, runid, username, command, start_time, end_time) values
    (1, 1001, current_user, 'select balance_sync.dispatch()', null, null),
    (1, 1002, current_user, 'select balance_sync.dispatch()', now() - interval '8 days', now() - interval '8 days'),
    (2, 1003, current_user, 'select balance_sync.prune()', now() - interval '8 days', now() - interval '8 days'),
    (1, 1004, current_user, 'select balance_sync.dispatch()', now() - interval '8 days', null),
    (3, 1005, current_user, 'select of_somebody_else()', now() - interval '8 days', now() - interval '8 days'),
    (1, 1006, current_user, 'select balance_sync.dispatch()', now() - interval '6 days', now() - interval '6 days'),
    (1, 1007, current_user, 'select balance_sync.dispatch()', now() - interval '6 days', null),
    (1, 1008, current_user, 'select balance_sync.dispatch()', null, null);

select is(balance_sync.prune(), 4, 'records of both jobs older than retain_runs go, also without an end or a start');
select results_eq(
    'select runid from cron.job_run_details where runid > 1000 order by 1',
    array[1005, 1006, 1007, 1008]::bigint[],
    'those of other jobs and younger ones stay'
);

select * from finish();
rollback;
