-- Chains and assets: what cannot be read at all, and what would be counted twice.
create function balance_sync.diagnose_chains()
returns setof balance_sync.diagnosis
language plpgsql
stable
set search_path = ''
as $$
begin
    -- An rpc_url is a secret: that it is wrong is said, not what it is.
    return query
    select
        'chain_without_rpc_url',
        'error',
        format('expected an http or https URL in chains.rpc_url of active chain %s, found %s', c.name, case when coalesce(c.rpc_url, '') = '' then 'none' else 'something else' end),
        1::bigint,
        format('update public.chains set rpc_url = ''<URL of a node>'' where id = %L;', c.id)
    from public.chains as c
    where c.is_active
      and coalesce(btrim(c.rpc_url), '') !~* '^https?://[^/]'
    order by c.name;

    return query
    select
        'unknown_adapter',
        'error',
        format('expected chain_settings.adapter of chain %s to be evm or tron, found %s', c.name, s.adapter),
        1::bigint,
        format('update balance_sync.chain_settings set adapter = null where chain_id = %L;', c.id)
    from balance_sync.chain_settings as s
    join public.chains as c on c.id = s.chain_id
    where c.is_active
      and s.adapter not in ('evm', 'tron');

    return query
    select
        'vault_secret_missing',
        'error',
        format('chain_settings.rpc_headers of chain %s names the Vault secret %s, found none of that name', c.name, substr(h.value, 7)),
        1::bigint,
        format('select vault.create_secret(''<value of the header>'', %L);', substr(h.value, 7))
    from balance_sync.chain_settings as s
    join public.chains as c on c.id = s.chain_id
    cross join lateral jsonb_each_text(s.rpc_headers) as h (name, value)
    where c.is_active
      and h.value like 'vault:%'
      and balance_sync.vault_secret(substr(h.value, 7)) is null;

    return query
    select
        'chain_out',
        'warning',
        format('chain %s has not answered since %s: %s', c.name, to_char(s.out_since, 'YYYY-MM-DD HH24:MI'), s.error),
        1::bigint,
        format('update balance_sync.chain_state set out_since = null, out_until = null, outages = 0, probe_claim_id = null, error = null where chain_id = %L;', c.id)
    from balance_sync.chain_state as s
    join public.chains as c on c.id = s.chain_id
    where c.is_active
      and s.out_since is not null;

    return query
    select
        'chain_behind_its_balances',
        'error',
        format(
            'expected blocks of chain %s up to %s or newer, found only older ones since %s: its node lags, or its chain began anew',
            c.name, s.last_block, to_char(s.stale_since, 'YYYY-MM-DD HH24:MI')
        ),
        1::bigint,
        format(
            'update public.wallet_balances set on_chain_block = null where asset_on_chain_id in (select id from public.asset_on_chain where chain_id = %1$L); update balance_sync.chain_state set stale_since = null, last_block = null where chain_id = %1$L;',
            c.id
        )
    from balance_sync.chain_state as s
    join public.chains as c on c.id = s.chain_id
    where c.is_active
      and s.stale_since < now() - interval '5 minutes';

    return query
    select
        'dangling_chain',
        'error',
        format('expected asset_on_chain.chain_id to be a chain, found assets that point at none: %s', balance_sync.for_example(array_agg(a.id::text order by a.id))),
        count(*),
        balance_sync.statements(array_agg(format('update public.asset_on_chain set chain_id = ''<chain id>'' where id = %L;', a.id) order by a.id))
    from public.asset_on_chain as a
    where a.is_active
      and not exists (select from public.chains as c where c.id = a.chain_id)
    having count(*) > 0;

    return query
    with assets as (
        select
            a.*,
            coalesce(btrim(a.contract_address), '') as contract,
            c.name as chain,
            balance_sync.family_of(c.name, s.adapter) as family,
            -- a native asset under the address of a token: https://eips.ethereum.org/EIPS/eip-7528
            -- and the precompiled tokens of Celo, Polygon, zkSync, Metis and Moonbeam
            lower(btrim(a.contract_address)) in (
                '0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',
                '0x0000000000000000000000000000000000000000',
                't9yd14nj9j7xab4dbgeix9h8unkkhxuwwb'
            ) as is_pseudo,
            lower(btrim(a.contract_address)) in (
                '0x471ece3750da237f93b8e339c536989b8978a438',
                '0x0000000000000000000000000000000000001010',
                '0x000000000000000000000000000000000000800a',
                '0xdeaddeaddeaddeaddeaddeaddeaddeaddead0000',
                '0x0000000000000000000000000000000000000802'
            ) as is_native_too
        from public.asset_on_chain as a
        join public.chains as c on c.id = a.chain_id
        left join balance_sync.chain_settings as s on s.chain_id = c.id
        where a.is_active
          and c.is_active
    ),
    -- What an asset's balance is a balance of: two assets of one chain that share one are one.
    things as (
        select a.id, a.chain_id, a.chain, 'native' as thing, a.is_native
        from assets as a
        where a.is_native or a.is_native_too or a.is_pseudo
        union
        select a.id, a.chain_id, a.chain, case a.family when 'evm' then lower(a.contract) else a.contract end, a.is_native
        from assets as a
        where a.contract <> '' and not coalesce(a.is_pseudo, false)
    ),
    found as (
        select
            1 as place,
            'token_without_contract' as finding,
            'error' as severity,
            format('expected asset_on_chain.contract_address for tokens, found none: %s', balance_sync.for_example(array_agg(a.id::text order by a.id))) as detail,
            count(*) as affected,
            balance_sync.statements(array_agg(format('update public.asset_on_chain set contract_address = ''<contract on %s>'' where id = %L;', a.chain, a.id) order by a.id)) as remedy
        from assets as a
        where a.is_native is not true and a.contract = ''
        having count(*) > 0

        union all
        select
            2,
            'decimals_out_of_range',
            'error',
            format('expected asset_on_chain.decimals between 0 and 77, found %s: %s', coalesce(a.decimals::text, 'none'), balance_sync.for_example(array_agg(a.id::text order by a.id))),
            count(*),
            balance_sync.statements(array_agg(format('update public.asset_on_chain set decimals = <decimals of the contract> where id = %L;', a.id) order by a.id))
        from assets as a
        where a.decimals is null or a.decimals not between 0 and 77
        group by a.decimals

        union all
        select
            3,
            'contract_of_other_family',
            'error',
            format('expected contract addresses as chain %s writes them, found others: %s', a.chain, balance_sync.for_example(array_agg(a.id::text order by a.id))),
            count(*),
            balance_sync.statements(array_agg(format('update public.asset_on_chain set contract_address = ''<contract on %s>'' where id = %L;', a.chain, a.id) order by a.id))
        from assets as a
        where a.is_native is not true
          and a.contract <> ''
          and balance_sync.is_written_for(a.family, a.contract_address) is false
        group by a.chain

        union all
        select
            4,
            'pseudo_contract',
            'error',
            format('expected a contract, found %s, which stands for the native asset and has no code: %s', a.contract, balance_sync.for_example(array_agg(a.id::text order by a.id))),
            count(*),
            format('update public.asset_on_chain set is_native = true, contract_address = null where id in (%s);', string_agg(quote_literal(a.id), ', ' order by a.id))
        from assets as a
        where a.is_pseudo
          and a.is_native is not true
          and not exists (select from assets as n where n.chain_id = a.chain_id and n.is_native)
        group by a.contract

        union all
        select
            5,
            'counted_twice',
            'warning',
            format('on chain %s several active assets are one thing (%s), so that its balance is counted several times: %s', t.chain, t.thing, balance_sync.for_example(array_agg(t.id::text order by t.is_native desc nulls last, t.id))),
            count(*),
            case
                when t.thing <> 'native' and bool_or(t.is_native) then format(
                    'update public.asset_on_chain set contract_address = null where id in (%s);',
                    string_agg(quote_literal(t.id), ', ' order by t.id) filter (where t.is_native)
                )
                else format(
                    'update public.asset_on_chain set is_active = false where id in (%s);',
                    (select string_agg(quote_literal(o.id), ', ') from unnest((array_agg(t.id order by t.is_native desc nulls last, t.id))[2:]) as o (id))
                )
            end
        from things as t
        group by t.chain_id, t.chain, t.thing
        having count(*) > 1
    )
    select f.finding, f.severity, f.detail, f.affected, f.remedy
    from found as f
    order by f.place, f.detail;
end
$$;


-- The family a chain belongs to, as the claim tells it.
create function balance_sync.family_of(chain_name text, adapter text)
returns text
language sql
immutable
set search_path = ''
as $$
    select coalesce(family_of.adapter, case when family_of.chain_name ilike 'tron%' then 'tron' else 'evm' end)
$$;


-- Whether an address is written as a family writes them: a coarse look, null for families unknown
-- here. The adapters look closer, at checksums too.
create function balance_sync.is_written_for(family text, address text)
returns boolean
language sql
immutable
set search_path = ''
as $$
    select case is_written_for.family
        when 'evm' then is_written_for.address ~ '^0x[0-9a-fA-F]{40}$'
        when 'tron' then is_written_for.address ~ '^(T[1-9A-HJ-NP-Za-km-z]{33}|(41|0x)[0-9a-fA-F]{40})$'
    end
$$;

revoke all on function balance_sync.diagnose_chains() from public, anon, authenticated, service_role;
revoke all on function balance_sync.family_of(text, text) from public, anon, authenticated, service_role;
revoke all on function balance_sync.is_written_for(text, text) from public, anon, authenticated, service_role;
