-- The doctor's way in. It has a secret key and no connection of its own, schema balance_sync is not
-- exposed, and of the four public functions the claim is the one that may tell what a worker is
-- told: claim_wallet_balances('doctor', "only" => '{"examine": true}').
--
-- Answers {"chains": the active ones as a claim names them, with no balances but their active
-- "assets": [{"id", "is_native", "contract_address", "decimals"}], "findings": diagnose()}.
-- Runs as the owner of the database, so that it can say what the worker's role lacks.
create function balance_sync.examination()
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set jit = off
as $$
declare
    chains jsonb := jsonb_build_array();
begin
    begin
        select coalesce(jsonb_agg(
            jsonb_build_object(
                'chain_id', c.id,
                'name', c.name,
                'adapter', balance_sync.family_of(c.name, (select s.adapter from balance_sync.chain_settings as s where s.chain_id = c.id)),
                'rpc_url', c.rpc_url,
                'settings', balance_sync.chain_settings_of(c.id),
                'balances', '[]'::jsonb,
                'assets', (
                    select coalesce(jsonb_agg(jsonb_build_object(
                        'id', a.id, 'is_native', a.is_native, 'contract_address', nullif(a.contract_address, ''), 'decimals', a.decimals
                    ) order by a.id), '[]')
                    from public.asset_on_chain as a
                    where a.chain_id = c.id and a.is_active
                )
            ) order by c.name, c.id
        ), '[]')
        into chains
        from public.chains as c
        where c.is_active;
    exception when undefined_table or undefined_column or datatype_mismatch then
        -- the findings name what is missing
        null;
    end;

    return jsonb_build_object(
        'chains', chains,
        'findings', (select coalesce(jsonb_agg(d), '[]') from balance_sync.diagnose() as d)
    );
end
$$;

revoke all on function balance_sync.examination() from public, anon, authenticated, service_role;
grant execute on function balance_sync.examination() to balance_sync_worker;
