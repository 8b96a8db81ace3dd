begin;
select plan(11);

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
create temporary table allowed as select unnest(array[
    'on_chain_balance_raw', 'on_chain_balance_human', 'processing_status', 'locked_until', 'locked_by', 'last_checked',
    'last_processed_at', 'last_error', 'last_error_at', 'sync_count', 'error_count', 'updated_at',
    'next_sync_at', 'consecutive_errors', 'on_chain_block', 'sync_lane'
]) as name;

select is(
    (select (rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole)::text from pg_roles where rolname = 'balance_sync_worker'),
    (false, false, false, false, false)::text,
    'the role behind the functions can do nothing by itself'
);
select bag_eq(
    $$select attname::text from pg_attribute
      where attrelid = 'wallet_balances'::regclass and attnum > 0 and not attisdropped
        and has_column_privilege('balance_sync_worker', attrelid, attnum, 'update')$$,
    'select name from allowed',
    'it may update the columns of the contract and no other'
);
select is_empty(
    $$select c.relname, p
      from pg_class as c, unnest(array['insert', 'delete', 'truncate', 'references', 'trigger']) as p
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
        and has_table_privilege('balance_sync_worker', c.oid, p)$$,
    'it may insert, delete or truncate nothing in public'
);
select is_empty(
    $$select c.relname, a.attname
      from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'wallet_balances'
        and has_column_privilege('balance_sync_worker', c.oid, a.attnum, 'update')$$,
    'it may update no other table of public'
);
select is_empty(
    $$select p.oid::regprocedure from pg_proc as p
      where p.prosecdef and p.pronamespace = 'public'::regnamespace
        and p.proname in ('claim_wallet_balances', 'record_wallet_balances', 'release_wallet_balances', 'balance_sync_status')
        and p.proowner <> 'balance_sync_worker'::regrole$$,
    'it owns the four functions'
);
select is_empty(
    $$select r from unnest(array['anon', 'authenticated', 'service_role', 'authenticator']) as r
      where pg_has_role(r, 'balance_sync_worker', 'member')$$,
    'no API role is a member of it'
);

-- a bug in our own code: a record that also sets what is another worker's
do $$
begin
    execute replace(
        pg_get_functiondef('public.record_wallet_balances(uuid, jsonb)'::regprocedure),
        'on_chain_balance_raw = ',
        'needs_gas = true, on_chain_balance_raw = '
    );
end
$$;
select matches(
    pg_get_functiondef('public.record_wallet_balances(uuid, jsonb)'::regprocedure),
    'needs_gas = true',
    'the record is patched'
);
create temporary table claim as select claim_wallet_balances('worker') as answer;
select throws_ok(
    format(
        'select record_wallet_balances(%L, %L)',
        answer ->> 'claim_id',
        jsonb_build_array(jsonb_build_object('id', md5('balance of alice')::uuid, 'raw', '1', 'block', '1'))
    ),
    '42501',
    null,
    'and gets permission denied'
)
from claim;
select is((select needs_gas from wallet_balances), false, 'needs_gas is not set');
select is((select on_chain_balance_raw from wallet_balances), null, 'and nothing else is written');

-- pgTAP's functions are in extensions, which the role has no other business in
grant usage on schema extensions to balance_sync_worker;
set local role balance_sync_worker;
select throws_ok('update public.wallet_balances set priority = 1', '42501', null, 'priority is not the worker''s either');
reset role;

select * from finish();
rollback;
