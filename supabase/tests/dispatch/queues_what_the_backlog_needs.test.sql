begin;
select plan(7);

select vault.create_secret('http://127.0.0.1:9/functions/v1/balance-sync', 'balance_sync_url');
select vault.create_secret('secret', 'balance_sync_secret');
select is(balance_sync.dispatch(), 0, 'nothing is queued when nothing is due');

insert into chains (id, name) values ('00000000-0000-0000-0000-0000000000c1', 'bsc');
insert into assets (id) values ('00000000-0000-0000-0000-0000000000a1');
insert into asset_on_chain (id, chain_id, asset_id, is_native)
values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000a1', true);

-- 2 rows a batch, 100 batches a run: 200 rows
update balance_sync.settings set batch_size = 2, max_parallel_runs = 3;
create function pg_temp.dispatched_for(rows integer)
returns integer
language plpgsql
as $$
begin
    delete from balance_sync.runs;
    delete from wallet_balances;
    insert into wallet_balances (wallet_id, asset_on_chain_id)
    select gen_random_uuid(), '00000000-0000-0000-0000-0000000000b1'
    from generate_series(1, dispatched_for.rows);
    return balance_sync.dispatch();
end
$$;

select is(pg_temp.dispatched_for(1), 1, 'one due row needs a run');
select is(pg_temp.dispatched_for(200), 1, 'as many rows as a run can do need one');
select is(pg_temp.dispatched_for(201), 2, 'one row more needs two');
select is(pg_temp.dispatched_for(1000), 3, 'no more than max_parallel_runs are queued');
update balance_sync.settings set max_parallel_runs = 0;
select is(pg_temp.dispatched_for(1000), 0, 'max_parallel_runs of 0 queues nothing');
select is((select count(*)::integer from net.http_request_queue), 7, 'each is one request');

select * from finish();
rollback;
