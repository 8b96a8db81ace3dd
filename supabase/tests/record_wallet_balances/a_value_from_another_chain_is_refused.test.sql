begin;
select plan(7);

truncate chains, assets, asset_on_chain, user_wallet_addresses, wallet_balances cascade;
truncate balance_sync.lanes, balance_sync.unparking, balance_sync.runs;
insert into chains (id, name, rpc_url) values (md5('bsc')::uuid, 'bsc', 'http://127.0.0.1:1');
insert into assets (id) values (md5('BNB')::uuid);
insert into asset_on_chain (id, chain_id, asset_id, decimals, is_native)
    values (md5('BNB on bsc')::uuid, md5('bsc')::uuid, md5('BNB')::uuid, 18, true);
insert into user_wallet_addresses (wallet_id, chain_id, address) values (md5('alice')::uuid, md5('bsc')::uuid, '0xalice');
insert into wallet_balances (id, wallet_id, asset_on_chain_id)
    values (md5('balance')::uuid, md5('alice')::uuid, md5('BNB on bsc')::uuid);
create function pg_temp.sync(evm_chain_id text, raw text) returns jsonb language plpgsql as $$
declare
    claim jsonb := claim_wallet_balances('worker', 1, "only" => jsonb_build_object('chain', 'bsc'));
begin
    return claim #> '{chains,0,settings}' || record_wallet_balances((claim ->> 'claim_id')::uuid, jsonb_build_array(
        jsonb_build_object('id', md5('balance')::uuid, 'raw', raw, 'block', '1', 'evm_chain_id', evm_chain_id)
    ));
end
$$;

select is(pg_temp.sync('56', '5') ->> 'recorded', '1', 'the first chain id is taken as the chain''s');
select is(pg_temp.sync('56', '6') ->> 'evm_chain_id', '56', 'and given to the next reader');
select is(pg_temp.sync('1', '7') ->> 'failed', '1', 'a value from another chain is a failure');
select is(
    (select on_chain_balance_raw || ', ' || last_error || ', ' || error_count from wallet_balances),
    '6, wrong_chain: expected a node of chain 56, found chain 1, 0',
    'of the chain: the balance stays and the row is not charged'
);
select isnt((select out_until from balance_sync.chain_state), null, 'the chain is out');
insert into balance_sync.chain_settings (chain_id, evm_chain_id) values (md5('bsc')::uuid, 1);
select is(pg_temp.sync('1', '8') ->> 'recorded', '1', 'unless the operator says that it is the right one');
select throws_ok(
    $$select pg_temp.sync('fifty-six', '9')$$,
    '22023',
    format('Cannot record wallet balances: results[0] (id %s): expected evm_chain_id to be a non-negative integer as text, found fifty-six', md5('balance')::uuid),
    'anything but a number is refused'
);

select * from finish();
rollback;
