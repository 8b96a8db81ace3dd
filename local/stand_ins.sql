-- What a hosted Supabase project has and a bare Postgres lacks: the roles, and the schemas
-- extensions, cron, net and vault with the signatures and grants of the real extensions.
-- An extension that is really there is left alone. Run as a superuser, before the migrations;
-- a second run changes nothing.
--
-- Stood in for, not reproduced: no job fires, no request is sent, a secret is stored in clear.

do $$
declare
    wanted record;
begin
    for wanted in
        select *
        from (
            values
                -- no superuser on a hosted project: what the migrations run as
                ('postgres', 'login createrole createdb replication bypassrls'),
                ('anon', 'nologin noinherit'),
                ('authenticated', 'nologin noinherit'),
                ('service_role', 'nologin noinherit bypassrls'),
                ('authenticator', 'login noinherit')
        ) as role (name, attributes)
        where not exists (select from pg_catalog.pg_roles where rolname = role.name)
    loop
        execute format('create role %I %s', wanted.name, wanted.attributes);
    end loop;
end;
$$;

-- the limits that hosted projects put on their API roles; service_role inherits the authenticator's
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres;
grant usage on schema public to anon, authenticated, service_role;

create schema if not exists extensions;
grant usage on schema extensions to anon, authenticated, service_role;
grant all on schema extensions to postgres with grant option;


-- pg_cron 1.6
do $stand_in$
begin
    if to_regclass('cron.job') is not null then
        return;
    end if;

    execute $cron$
        create schema cron;
        create sequence cron.jobid_seq;
        create sequence cron.runid_seq;

        create table cron.job (
            jobid bigint primary key default nextval('cron.jobid_seq'),
            schedule text not null,
            command text not null,
            nodename text not null default 'localhost',
            nodeport integer not null default 5432,
            database text not null default current_database(),
            username text not null default current_user,
            active boolean not null default true,
            jobname text,
            constraint jobname_username_uniq unique (jobname, username)
        );
        alter table cron.job enable row level security;
        create policy cron_job_policy on cron.job using (username = current_user);

        create table cron.job_run_details (
            jobid bigint,
            runid bigint primary key default nextval('cron.runid_seq'),
            job_pid integer,
            database text,
            username text,
            command text,
            status text,
            return_message text,
            start_time timestamptz,
            end_time timestamptz
        );
        alter table cron.job_run_details enable row level security;
        create policy cron_job_run_details_policy on cron.job_run_details using (username = current_user);

        -- The real functions write as superuser on behalf of their caller, whom a definer function
        -- cannot see: so the caller's name is handed over.
        create function cron.stand_in_schedule(caller text, job_name text, schedule text, command text)
        returns bigint
        security definer
        set search_path = ''
        language plpgsql
        as $$
        declare
            id bigint;
        begin
            if stand_in_schedule.schedule !~ '^([1-9]|[1-5][0-9]) seconds?$'
                and stand_in_schedule.schedule !~ '^\s*[^\s]+(\s+[^\s]+){4}\s*$'
            then
                raise exception 'invalid schedule: %', stand_in_schedule.schedule
                    using errcode = 'invalid_parameter_value';
            end if;
            -- `active` is not touched: an operator's pause outlives a repeated migration
            insert into cron.job as job (jobname, schedule, command, username)
            values (
                stand_in_schedule.job_name,
                stand_in_schedule.schedule,
                stand_in_schedule.command,
                stand_in_schedule.caller
            )
            on conflict on constraint jobname_username_uniq do update
            set
                schedule = excluded.schedule,
                command = excluded.command,
                database = excluded.database
            returning job.jobid into id;
            return id;
        end;
        $$;

        create function cron.stand_in_unschedule(caller text, job_id bigint, job_name text)
        returns boolean
        security definer
        set search_path = ''
        language plpgsql
        as $$
        begin
            delete from cron.job
            where job.username = stand_in_unschedule.caller
              and (job.jobid = stand_in_unschedule.job_id or job.jobname = stand_in_unschedule.job_name);
            if not found then
                raise exception 'could not find valid entry for job %',
                    coalesce(quote_literal(stand_in_unschedule.job_name), stand_in_unschedule.job_id::text)
                    using errcode = 'internal_error';
            end if;
            return true;
        end;
        $$;

        create function cron.stand_in_alter(
            caller text,
            job_id bigint,
            schedule text,
            command text,
            database text,
            username text,
            active boolean
        )
        returns void
        security definer
        set search_path = ''
        language plpgsql
        as $$
        begin
            update cron.job
            set
                schedule = coalesce(stand_in_alter.schedule, job.schedule),
                command = coalesce(stand_in_alter.command, job.command),
                database = coalesce(stand_in_alter.database, job.database),
                username = coalesce(stand_in_alter.username, job.username),
                active = coalesce(stand_in_alter.active, job.active)
            where job.jobid = stand_in_alter.job_id
              and job.username = stand_in_alter.caller;
            if not found then
                raise exception 'Job % does not exist or you don''t own it', stand_in_alter.job_id
                    using errcode = 'internal_error';
            end if;
        end;
        $$;

        create function cron.schedule(job_name text, schedule text, command text)
        returns bigint
        language sql
        as $$ select cron.stand_in_schedule(current_user, $1, $2, $3) $$;

        create function cron.schedule(schedule text, command text)
        returns bigint
        strict
        language sql
        as $$ select cron.stand_in_schedule(current_user, null, $1, $2) $$;

        create function cron.unschedule(job_name text)
        returns boolean
        strict
        language sql
        as $$ select cron.stand_in_unschedule(current_user, null, $1) $$;

        create function cron.unschedule(job_id bigint)
        returns boolean
        strict
        language sql
        as $$ select cron.stand_in_unschedule(current_user, $1, null) $$;

        create function cron.alter_job(
            job_id bigint,
            schedule text default null,
            command text default null,
            database text default null,
            username text default null,
            active boolean default null
        )
        returns void
        language sql
        as $$ select cron.stand_in_alter(current_user, $1, $2, $3, $4, $5, $6) $$;
        revoke all on function cron.alter_job(bigint, text, text, text, text, boolean) from public;

        grant usage on schema cron to postgres with grant option;
        grant all on all functions in schema cron to postgres with grant option;
        grant all on cron.job_run_details to postgres with grant option;
        -- the worker that writes there is a superuser; its stand-in may be anybody
        grant usage on sequence cron.runid_seq to postgres;
        grant select on cron.job to postgres with grant option;
    $cron$;
end;
$stand_in$;


-- pg_net 0.20: a request stays in the queue until somebody plays its worker
do $stand_in$
begin
    if to_regclass('net.http_request_queue') is not null then
        return;
    end if;

    execute $net$
        create schema net;

        create domain net.http_method as text
            check (value ilike 'get' or value ilike 'post' or value ilike 'delete');

        create unlogged table net.http_request_queue (
            id bigserial,
            method net.http_method not null,
            url text not null,
            headers jsonb,
            body bytea,
            timeout_milliseconds integer not null
        );

        create unlogged table net._http_response (
            id bigint,
            status_code integer,
            content_type text,
            headers jsonb,
            content text,
            timed_out boolean,
            error_msg text,
            created timestamptz not null default now()
        );
        create index on net._http_response (created);

        create function net.stand_in_url(url text, params jsonb)
        returns text
        immutable
        language plpgsql
        as $$
        begin
            if params <> '{}' then
                raise exception 'the stand-in for pg_net encodes no params: put them in the url'
                    using errcode = 'feature_not_supported';
            end if;
            return url;
        end;
        $$;

        create function net.http_get(
            url text,
            params jsonb default '{}',
            headers jsonb default '{}',
            timeout_milliseconds integer default 5000
        )
        returns bigint
        strict
        language sql
        as $$
            insert into net.http_request_queue (method, url, headers, timeout_milliseconds)
            values ('GET', net.stand_in_url($1, $2), $3, $4)
            returning id
        $$;

        create function net.http_post(
            url text,
            body jsonb default '{}',
            params jsonb default '{}',
            headers jsonb default '{"Content-Type": "application/json"}',
            timeout_milliseconds integer default 5000
        )
        returns bigint
        language plpgsql
        as $$
        declare
            content_type text;
            request_id bigint;
        begin
            select header.value into content_type
            from jsonb_each_text(coalesce(http_post.headers, '{}')) as header (name, value)
            where lower(header.name) = 'content-type'
            limit 1;
            if content_type <> 'application/json' then
                raise exception 'Content-Type header must be "application/json"';
            end if;
            if http_post.body is null then
                raise exception 'body must not be null';
            end if;
            insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
            values (
                'POST',
                net.stand_in_url(http_post.url, http_post.params),
                case
                    when content_type is null then http_post.headers || '{"Content-Type": "application/json"}'
                    else http_post.headers
                end,
                convert_to(http_post.body::text, 'UTF8'),
                http_post.timeout_milliseconds
            )
            returning id into request_id;
            return request_id;
        end;
        $$;

        grant usage on schema net to public;
        grant all on all tables in schema net to public;
        grant all on all sequences in schema net to public;
    $net$;
end;
$stand_in$;


-- supabase_vault 0.3.1
do $stand_in$
begin
    if to_regclass('vault.secrets') is not null then
        return;
    end if;

    execute $vault$
        create schema vault;

        create table vault.secrets (
            id uuid primary key default gen_random_uuid(),
            name text,
            description text not null default '',
            secret text not null,
            key_id uuid,
            nonce bytea,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now()
        );
        create unique index on vault.secrets (name) where name is not null;

        -- A view checks EXECUTE against its reader: a role that may select from decrypted_secrets
        -- but not run this is refused, on a hosted project as here.
        create function vault._crypto_aead_det_decrypt(
            message bytea,
            additional bytea,
            key_id bigint,
            context bytea default 'pgsodium',
            nonce bytea default null
        )
        returns bytea
        immutable
        language sql
        as $$ select $1 $$;

        create view vault.decrypted_secrets as
        select
            s.id,
            s.name,
            s.description,
            s.secret,
            convert_from(
                vault._crypto_aead_det_decrypt(
                    message => decode(s.secret, 'base64'),
                    additional => convert_to(s.id::text, 'utf8'),
                    key_id => 0
                ),
                'utf8'
            ) as decrypted_secret,
            s.key_id,
            s.nonce,
            s.created_at,
            s.updated_at
        from vault.secrets as s;

        create function vault.create_secret(
            new_secret text,
            new_name text default null,
            new_description text default '',
            new_key_id uuid default null
        )
        returns uuid
        security definer
        set search_path = ''
        language sql
        as $$
            insert into vault.secrets (secret, name, description)
            values (encode(convert_to($1, 'utf8'), 'base64'), $2, $3)
            returning id
        $$;

        create function vault.update_secret(
            secret_id uuid,
            new_secret text default null,
            new_name text default null,
            new_description text default null,
            new_key_id uuid default null
        )
        returns void
        security definer
        set search_path = ''
        language sql
        as $$
            update vault.secrets as s
            set
                secret = coalesce(encode(convert_to($2, 'utf8'), 'base64'), s.secret),
                name = coalesce($3, s.name),
                description = coalesce($4, s.description),
                updated_at = now()
            where s.id = $1
        $$;

        revoke all on all functions in schema vault from public;
        grant usage on schema vault to postgres with grant option;
        grant select, delete on vault.secrets, vault.decrypted_secrets to postgres with grant option;
        grant execute on function vault.create_secret, vault.update_secret, vault._crypto_aead_det_decrypt
            to postgres with grant option;
        grant usage on schema vault to service_role;
        grant select, delete on vault.secrets, vault.decrypted_secrets to service_role;
        grant execute on function vault.create_secret, vault.update_secret, vault._crypto_aead_det_decrypt
            to service_role;
    $vault$;
end;
$stand_in$;
