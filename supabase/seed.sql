-- Applied by `supabase start`, `db reset` and `db push --include-seed`: a small world on public
-- nodes, so that the first run has balances to read. Its wallet is the address tokens are burnt to.
-- Not scheduled: `select balance_sync.schedule();` starts the sync every 30 s.

insert into public.chains (id, name, rpc_url)
values
    ('0c000000-0000-4000-8000-000000000001', 'ethereum', 'https://ethereum-rpc.publicnode.com'),
    ('0c000000-0000-4000-8000-000000000056', 'bsc', 'https://bsc-rpc.publicnode.com'),
    ('0c000000-0000-4000-8000-000000000195', 'tron', 'https://api.trongrid.io');

-- A node that answers for another chain is then an error, not a balance.
insert into balance_sync.chain_settings (chain_id, evm_chain_id)
values
    ('0c000000-0000-4000-8000-000000000001', 1),
    ('0c000000-0000-4000-8000-000000000056', 56);

insert into public.assets (id, symbol, name)
values
    ('0a000000-0000-4000-8000-000000000001', 'ETH', 'Ether'),
    ('0a000000-0000-4000-8000-000000000002', 'BNB', 'BNB'),
    ('0a000000-0000-4000-8000-000000000003', 'TRX', 'Tronix'),
    ('0a000000-0000-4000-8000-000000000004', 'USDT', 'Tether USD');

insert into public.asset_on_chain (id, chain_id, asset_id, contract_address, decimals, is_native)
values
    ('0b000000-0000-4000-8000-000000000001', '0c000000-0000-4000-8000-000000000001',
        '0a000000-0000-4000-8000-000000000001', null, 18, true),
    ('0b000000-0000-4000-8000-000000000002', '0c000000-0000-4000-8000-000000000001',
        '0a000000-0000-4000-8000-000000000004', '0xdAC17F958D2ee523a2206206994597C13D831ec7', 6, false),
    ('0b000000-0000-4000-8000-000000000003', '0c000000-0000-4000-8000-000000000056',
        '0a000000-0000-4000-8000-000000000002', null, 18, true),
    ('0b000000-0000-4000-8000-000000000004', '0c000000-0000-4000-8000-000000000056',
        '0a000000-0000-4000-8000-000000000004', '0x55d398326f99059fF775485246999027B3197955', 18, false),
    ('0b000000-0000-4000-8000-000000000005', '0c000000-0000-4000-8000-000000000195',
        '0a000000-0000-4000-8000-000000000003', null, 6, true),
    ('0b000000-0000-4000-8000-000000000006', '0c000000-0000-4000-8000-000000000195',
        '0a000000-0000-4000-8000-000000000004', 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t', 6, false);

insert into public.user_wallet_addresses (wallet_id, chain_id, address)
values
    ('0d000000-0000-4000-8000-000000000001', '0c000000-0000-4000-8000-000000000001',
        '0x000000000000000000000000000000000000dEaD'),
    ('0d000000-0000-4000-8000-000000000001', '0c000000-0000-4000-8000-000000000056',
        '0x000000000000000000000000000000000000dEaD'),
    ('0d000000-0000-4000-8000-000000000001', '0c000000-0000-4000-8000-000000000195',
        'T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb');

insert into public.wallet_balances (wallet_id, asset_on_chain_id)
select '0d000000-0000-4000-8000-000000000001', a.id
from public.asset_on_chain as a
where a.id::text like '0b000000-%';
