begin;
select plan(8);

insert into chains (id, name) values ('00000000-0000-0000-0000-0000000000c1', 'bsc');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true);
insert into wallet_balances (wallet_id, asset_on_chain_id)
values (gen_random_uuid(), '00000000-0000-0000-0000-0000000000b1');

select is(balance_sync.dispatch(), 0, 'without secrets nothing is queued and nothing raised');
select ok(
    balance_sync_status() -> 'warnings' @> to_jsonb(balance_sync.dispatch_problems()),
    'the status says so'
);
select is(
    (select array_agg(split_part(p, ',', 1)) from unnest(balance_sync.dispatch_problems()) as p),
    array['Vault has no secret balance_sync_url', 'Vault has no secret balance_sync_secret'],
    'naming both'
);

select vault.create_secret('', 'balance_sync_secret');
select vault.create_secret('example.com/path?key=hidden', 'balance_sync_url');
select is(balance_sync.dispatch(), 0, 'nor with an empty secret and no URL');
select is(
    (select array_agg(p) from unnest(balance_sync.dispatch_problems()) as p where p ~ 'hidden'),
    null,
    'what a secret holds is never told'
);
select ok(
    'The Vault secret balance_sync_url is no http or https URL' = any (balance_sync.dispatch_problems()),
    'what is wrong with it is'
);
select is((select count(*)::integer from balance_sync.runs), 0, 'no run is in the ledger');

select vault.update_secret(id, 'https://example.com/functions/v1/balance-sync') from vault.secrets where name = 'balance_sync_url';
select vault.update_secret(id, 'secret') from vault.secrets where name = 'balance_sync_secret';
select is(balance_sync.dispatch(), 1, 'with both it begins');

select * from finish();
rollback;
