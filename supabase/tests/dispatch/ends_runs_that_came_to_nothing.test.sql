begin;
select plan(5);

-- every run was queued 100 s ago, except those that say otherwise
create temporary table fate (name text, request_id bigint, queued interval, heartbeat interval);
insert into fate values
    ('refused', 1, '100 seconds', null),
    ('missing', 2, '100 seconds', null),
    ('broken', 3, '100 seconds', null),
    ('timed out, pg_net 0.20', 4, '100 seconds', null),
    ('timed out, pg_net 0.19.5', 5, '100 seconds', null),
    ('accepted, not started yet', 6, '119 seconds', null),
    ('accepted, never started', 7, '2 minutes 1 second', null),
    ('unanswered as yet', 8, '119 seconds', null),
    ('never answered', 9, '2 minutes 1 second', null),
    ('refused by a gateway but running', 10, '100 seconds', '1 second'),
    ('silent for less than a lease', 11, '10 minutes', '119 seconds'),
    ('silent for more than a lease', 12, '10 minutes', '121 seconds');
insert into balance_sync.runs (worker_id, request_id, queued_at, started_at, heartbeat_at)
select name, request_id, now() - queued, now() - heartbeat, now() - heartbeat
from fate;
insert into net._http_response (id, status_code, timed_out, error_msg) values
    (1, 401, false, null),
    (2, 404, false, null),
    (3, 546, false, null),
    (4, null, true, 'Timeout of 5000 ms reached'),
    (5, null, null, null),
    (6, 202, false, null),
    (7, 202, false, null),
    (10, 504, false, null);

select is(balance_sync.dispatch(), 0, 'nothing is due');
select results_eq(
    $$ select worker_id, stopped_because, error from balance_sync.runs where ended_at = now() order by request_id $$,
    $$ values
        ('refused', 'not_accepted', 'http_401'),
        ('missing', 'not_accepted', 'http_404'),
        ('broken', 'not_accepted', 'http_546'),
        ('timed out, pg_net 0.20', 'not_accepted', 'no_answer: Timeout of 5000 ms reached'),
        ('timed out, pg_net 0.19.5', 'not_accepted', 'no_answer'),
        ('accepted, never started', 'not_started', 'no_claim'),
        ('never answered', 'not_started', 'no_answer'),
        ('silent for more than a lease', 'lost', 'no_heartbeat') $$,
    'each is ended with its reason'
);
select results_eq(
    $$ select worker_id from balance_sync.runs where ended_at is null order by request_id $$,
    $$ values
        ('accepted, not started yet'),
        ('unanswered as yet'),
        ('refused by a gateway but running'),
        ('silent for less than a lease') $$,
    'the others stay open'
);

select claim_wallet_balances('silent for more than a lease'), claim_wallet_balances('timed out, pg_net 0.20');
select results_eq(
    $$ select ended_at, stopped_because, error from balance_sync.runs
       where worker_id in ('silent for more than a lease', 'timed out, pg_net 0.20') $$,
    $$ values (null::timestamptz, null::text, null::text), (null, null, null) $$,
    'a worker that calls after all has its run opened again'
);

select claim_wallet_balances('silent for more than a lease', "only" => '{"ended": {"because": "deadline"}}');
select claim_wallet_balances('silent for more than a lease', "only" => '{"ended": {"because": "deadline"}}');
select is(
    (select stopped_because from balance_sync.runs where worker_id = 'silent for more than a lease'),
    'deadline',
    'and a run that ended itself stays ended'
);

select * from finish();
rollback;
