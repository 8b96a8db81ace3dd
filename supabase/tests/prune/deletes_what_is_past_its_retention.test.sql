begin;
select plan(4);

select is(balance_sync.prune(), 0, 'there is nothing to prune at first');

update balance_sync.settings set retain_runs = '7 days', retain_balance_changes = '30 days';
insert into balance_sync.runs (worker_id, queued_at, heartbeat_at, ended_at, stopped_because) values
    ('ended within 7 days', now() - interval '8 days', now() - interval '8 days', now() - interval '6 days 23 hours', 'drained'),
    ('ended before', now() - interval '8 days', now() - interval '8 days', now() - interval '7 days 1 hour', 'drained'),
    ('silent, never ended', null, now() - interval '7 days 1 hour', null, null),
    ('heard of within 7 days', null, now() - interval '6 days 23 hours', null, null),
    ('queued before, never started', now() - interval '7 days 1 hour', null, null, null);
insert into balance_sync.balance_changes (wallet_balance_id, new_raw, block, changed_at) values
    (gen_random_uuid(), 1, 1, now() - interval '31 days'),
    (gen_random_uuid(), 2, 2, now() - interval '30 days 1 hour'),
    (gen_random_uuid(), 3, 3, now() - interval '29 days 23 hours');

select is(balance_sync.prune(), 5, 'what is older goes');
select results_eq(
    'select worker_id from balance_sync.runs order by 1',
    $$ values ('ended within 7 days'), ('heard of within 7 days') $$,
    'runs are kept as long as retain_runs says'
);
select results_eq(
    'select new_raw from balance_sync.balance_changes',
    array[3::numeric],
    'changes as long as retain_balance_changes says'
);

select * from finish();
rollback;
