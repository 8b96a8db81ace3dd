begin;
select plan(12);

select vault.create_secret('http://127.0.0.1:9/functions/v1/balance-sync', 'balance_sync_url');
select vault.create_secret('secret', 'balance_sync_secret');
select vault.create_secret('key', 'of_somebody_else');
insert into chains (id, name) values ('00000000-0000-0000-0000-0000000000c1', 'bsc');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native, decimals)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true, 18);
insert into user_wallet_addresses (wallet_id, chain_id, address)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000c1', '0x1');
insert into wallet_balances (wallet_id, asset_on_chain_id, on_chain_balance_raw, sync_count)
values ('00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-0000000000b1', '15', 3);
select balance_sync.schedule();
select is(balance_sync.dispatch(), 1, 'it was at work');
select claim_wallet_balances('w');

create view public.of_the_user as select b.id from balance_sync.balance_changes as b;
select throws_ok(
    'select balance_sync.uninstall()',
    '2BP01',
    'Cannot uninstall Balance Sync: expected nothing to depend on it, found rule _RETURN on view public.of_the_user',
    'what the user has built on it is not dropped along'
);
drop view public.of_the_user;

select lives_ok('select balance_sync.uninstall()', 'one call uninstalls');
select results_eq(
    $$ select on_chain_balance_raw, sync_count, processing_status, locked_until, locked_by from wallet_balances $$,
    $$ values ('15', 3, 'idle', null::timestamptz, null::text) $$,
    'balances stay, and no row is left leased'
);
select hasnt_schema('balance_sync');
select hasnt_column('public', 'wallet_balances', c.name, 'column ' || c.name || ' is gone')
from unnest(array['next_sync_at', 'consecutive_errors', 'on_chain_block', 'sync_lane']) as c (name);
select is(
    (
        select count(*)::integer
        from cron.job as j
        full join net.http_request_queue as q on false
        where j.jobname like 'balance-sync%' or q.id is not null
    ),
    0,
    'no job and no request is left'
);
select is(
    array(select name from vault.secrets where name in ('balance_sync_url', 'balance_sync_secret', 'of_somebody_else')),
    array['of_somebody_else'],
    'of the secrets those that are ours are gone'
);
select is(
    (select count(*)::integer from pg_proc where proname ~ 'wallet_balances$|^balance_sync')
    + (select count(*)::integer from pg_trigger where tgname ~ '^balance_sync')
    + (select count(*)::integer from pg_policy where polname ~ '^balance_sync')
    + (select count(*)::integer from pg_description where description ~ '^Balance Sync'),
    0,
    'nor is anything of ours in the catalogue'
);

select * from finish();
rollback;
