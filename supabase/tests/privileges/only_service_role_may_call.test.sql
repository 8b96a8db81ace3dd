begin;
select plan(12);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
insert into user_wallet_addresses (wallet_id, chain_id, address)
    select md5(name)::uuid, md5('bsc')::uuid, '0x' || name from unnest(array['alice']) as name;
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    select md5('balance of ' || name)::uuid, md5(name)::uuid, md5('BNB on bsc')::uuid
    from unnest(array['alice']) as name;

create temporary table ours as
    select p.oid, p.oid::regprocedure::text as signature, p.proacl, p.pronamespace::regnamespace::text as schema
    from pg_proc as p
    where p.pronamespace = 'balance_sync'::regnamespace
       or p.oid in (
           to_regprocedure('public.claim_wallet_balances(text, integer, integer, jsonb)'),
           to_regprocedure('public.record_wallet_balances(uuid, jsonb)'),
           to_regprocedure('public.release_wallet_balances(uuid, uuid[])'),
           to_regprocedure('public.balance_sync_status()')
       );

select is((select count(*)::integer from ours where schema = 'public'), 4, 'the four functions of the contract are there');
select is_empty(
    $$select signature from ours where proacl is null or exists (select from aclexplode(proacl) where grantee = 0)$$,
    'PUBLIC may execute none of ours'
);
select is_empty(
    $$select signature, r from ours, unnest(array['anon', 'authenticated']) as r where has_function_privilege(r, oid, 'execute')$$,
    'nor may anon or authenticated'
);
select is_empty(
    $$select signature from ours where schema = 'balance_sync' and has_function_privilege('service_role', oid, 'execute')$$,
    'service_role may execute nothing in balance_sync'
);
select bag_eq(
    $$select signature from ours where has_function_privilege('service_role', oid, 'execute')$$,
    $$select signature from ours where schema = 'public'$$,
    'but the four of the contract'
);
select is_empty(
    $$select r from unnest(array['anon', 'authenticated', 'service_role']) as r where has_schema_privilege(r, 'balance_sync', 'usage')$$,
    'no API role may look into balance_sync'
);

grant all on all tables in schema pg_temp to service_role;
set local role anon;
select throws_ok($$select claim_wallet_balances('worker')$$, '42501', null, 'anon is refused');
set local role authenticated;
select throws_ok($$select record_wallet_balances(gen_random_uuid(), '[]')$$, '42501', null, 'authenticated is refused');
set local role service_role;
select lives_ok($$select claim_wallet_balances('worker')$$, 'service_role claims');
select lives_ok($$select record_wallet_balances(gen_random_uuid(), '[]')$$, 'and records');
select lives_ok($$select release_wallet_balances(gen_random_uuid())$$, 'and releases');
select lives_ok($$select balance_sync_status()$$, 'and asks how it is');
reset role;

select * from finish();
rollback;
