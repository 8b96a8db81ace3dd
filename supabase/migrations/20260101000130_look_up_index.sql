-- In a transaction of its own: see due_index.sql.
do $$
begin
    perform balance_sync.build_index('wallet_balances_wallet_id');
end
$$;
