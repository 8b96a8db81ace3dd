-- The rest, of tables that are smaller or have them already.
do $$
begin
    perform balance_sync.build_index(w.index_name) from balance_sync.wanted_indexes() as w;
end
$$;
