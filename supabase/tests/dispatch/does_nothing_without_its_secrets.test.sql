begin;
select plan(8);

insert into chains (id, name) values ('00000000-0000-0000-0000-0000000000c1', 'bsc');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true);
insert into wallet_balances (wallet_id, asset_on_chain_id)
values (gen_random_uuid(), '00000000-0000-0000-0000-0000000000b1');

create function pg_temp.warnings()
returns text
language sql
as $$ select balance_sync_status() ->> 'warnings' $$;

select is(balance_sync.dispatch(), 0, 'without secrets nothing is queued and nothing raised');
select alike(pg_temp.warnings(), '%expected the Vault secret balance_sync_url%', 'the status misses the URL');
select alike(pg_temp.warnings(), '%expected the Vault secret balance_sync_secret%', 'and the secret');

select vault.create_secret(' ', 'balance_sync_secret');
select vault.create_secret('example.com/path?key=hidden', 'balance_sync_url');
select is(balance_sync.dispatch(), 0, 'nor is anything with an empty secret and no URL');
select alike(pg_temp.warnings(), '%expected an http or https URL%', 'which the status says');
select unalike(pg_temp.warnings(), '%hidden%', 'without telling what a secret holds');
select is((select count(*)::integer from balance_sync.runs), 0, 'no run is in the ledger');

select vault.update_secret(id, 'https://example.com/functions/v1/balance-sync') from vault.secrets where name = 'balance_sync_url';
select vault.update_secret(id, 'secret') from vault.secrets where name = 'balance_sync_secret';
select is(balance_sync.dispatch(), 1, 'with both it begins');

select * from finish();
rollback;
