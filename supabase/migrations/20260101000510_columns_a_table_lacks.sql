-- last_processed_at and updated_at are written where the table has them. One that was adopted without
-- is not given them: the functions that write them lose these lines instead.
do $$
declare
    lacking text := (
        select string_agg(c.name, '|')
        from unnest(array['last_processed_at', 'updated_at']) as c (name)
        where c.name <> all (balance_sync.written_columns())
    );
    writer record;
begin
    for writer in
        select pg_get_functiondef(p.oid) as definition
        from pg_catalog.pg_proc as p
        where p.oid in (
            'public.record_wallet_balances(uuid, jsonb)'::regprocedure,
            'balance_sync.park(uuid[])'::regprocedure
        )
          and lacking is not null
    loop
        execute regexp_replace(writer.definition, '\n *(' || lacking || ') = now\(\),', '', 'g');
    end loop;
end
$$;
