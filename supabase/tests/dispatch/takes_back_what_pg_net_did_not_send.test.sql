begin;
select plan(3);

insert into balance_sync.runs (worker_id, queued_at, request_id)
select 'queued ' || seconds || ' s ago', now() - make_interval(secs => seconds), net.http_post('http://127.0.0.1:9')
from unnest(array[119, 121]) as s (seconds);
select net.http_post('http://127.0.0.1:9/of-somebody-else');

select is(balance_sync.dispatch(), 0, 'nothing is due');
select results_eq(
    $$ select worker_id, stopped_because, error from balance_sync.runs order by worker_id $$,
    $$ values
        ('queued 119 s ago', null, null),
        ('queued 121 s ago', 'not_started', 'not_sent') $$,
    'a request that waited two minutes is given up'
);
select results_eq(
    $$ select coalesce(r.worker_id, q.url)
       from net.http_request_queue as q left join balance_sync.runs as r on r.request_id = q.id
       order by q.id $$,
    $$ values ('queued 119 s ago'), ('http://127.0.0.1:9/of-somebody-else') $$,
    'it alone leaves the queue'
);

select * from finish();
rollback;
