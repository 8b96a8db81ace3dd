-- wallet_id -> address, resolved in one place. The claim reads only this view.

create or replace view balance_sync.wallet_addresses as
select a.wallet_id, a.chain_id, a.address
from public.user_wallet_addresses as a
where a.is_active;

comment on view balance_sync.wallet_addresses is
    'Which address a wallet has on a chain; defined by balance_sync.use_address_source.';

grant select on balance_sync.wallet_addresses to balance_sync_worker;
