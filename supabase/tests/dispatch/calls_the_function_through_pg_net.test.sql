begin;
select plan(6);

select vault.create_secret(E' http://127.0.0.1:9/functions/v1/balance-sync\n', 'balance_sync_url');
select vault.create_secret(E'new secret, old secret\n', 'balance_sync_secret');
insert into chains (id, name) values ('00000000-0000-0000-0000-0000000000c1', 'bsc');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true);
insert into wallet_balances (wallet_id, asset_on_chain_id)
values (gen_random_uuid(), '00000000-0000-0000-0000-0000000000b1');

select is(balance_sync.dispatch(), 1, 'one run is queued');
select is(
    (select array[method, url, convert_from(body, 'utf8'), timeout_milliseconds::text] from net.http_request_queue),
    array['POST', 'http://127.0.0.1:9/functions/v1/balance-sync', '{}', '5000'],
    'the URL is that of the Vault, and the time to answer is short'
);
select is(
    (select headers - 'x-balance-sync-run' from net.http_request_queue),
    '{"Content-Type": "application/json", "Prefer": "respond-async", "x-balance-sync-secret": "new secret"}'::jsonb,
    'of two secrets the first is sent, and the answer may come at once'
);
select results_eq(
    $$ select id::text, worker_id, request_id, queued_at, started_at, ended_at from balance_sync.runs $$,
    $$ select
           headers ->> 'x-balance-sync-run', 'balance-sync:' || (headers ->> 'x-balance-sync-run'),
           id, now(), null::timestamptz, null::timestamptz
       from net.http_request_queue $$,
    'the ledger has the run that the request names'
);

select claim_wallet_balances(worker_id) from balance_sync.runs;
select results_eq(
    $$ select started_at, heartbeat_at from balance_sync.runs $$,
    $$ values (now(), now()) $$,
    'the first claim starts the run'
);
select is((select count(*)::integer from balance_sync.runs), 1, 'and makes no other');

select * from finish();
rollback;
