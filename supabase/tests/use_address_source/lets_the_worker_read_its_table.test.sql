begin;
select plan(7);

create table wallets (id uuid primary key, address text);
alter table wallets enable row level security;

create function state() returns text language sql as $$
    select format('%s, %s', has_table_privilege('balance_sync_worker', 'public.wallets', 'select'), (
        select coalesce(string_agg(p.polname || ' for ' || p.polcmd::text, ', '), 'no policy')
        from pg_policy as p where p.polrelid = 'public.wallets'::regclass
    ))
$$;

select is(state(), 'f, no policy', 'not before it is the source');
select balance_sync.use_address_source('wallets');
select is(state(), 't, balance_sync_worker_reads for r', 'by a grant, and a policy where the table has row level security');
select balance_sync.use_address_source('wallets');
select is(state(), 't, balance_sync_worker_reads for r', 'called again it changes nothing');
select balance_sync.use_address_source('user_wallet_addresses');
select is(state(), 'f, no policy', 'nor afterwards');

alter table wallets disable row level security;
select balance_sync.use_address_source('wallets');
select is(state(), 't, no policy', 'a table without row level security gets no policy');

select is(
    (select string_agg(privilege_type, ', ') from information_schema.role_table_grants where grantee = 'balance_sync_worker' and table_name = 'wallets'),
    'SELECT',
    'it may read, and nothing else'
);

select lives_ok('select balance_sync.uninstall()', 'and uninstall() finds all of it');

select * from finish();
rollback;
