begin;
select plan(10);

select lives_ok($$ select balance_sync.schedule('1 second') $$, '1 second is the shortest');
select lives_ok($$ select balance_sync.schedule('59 seconds') $$, '59 seconds is the longest');

select throws_ok(
    format('select balance_sync.schedule(%L)', wrong),
    '22023',
    format(
        'Cannot schedule Balance Sync: expected "1 second" to "59 seconds" or five cron fields, found %s',
        coalesce(quote_literal(wrong), 'null')
    ),
    format('%s is refused and told what is accepted', coalesce(quote_literal(wrong), 'null'))
)
from unnest(array['0 seconds', '60 seconds', '1 minute', '30', '* * * *', '', null]) as w (wrong);

select is(
    (select schedule from cron.job where jobname = 'balance-sync'),
    '59 seconds',
    'the job that was there keeps its interval'
);

select * from finish();
rollback;
