/**
 * The commands of README's "Deploy", as they stand there, from an empty project to the first synced
 * row, a new secret, and nothing left. What is hosted is stood in for: the Management API by a
 * loopback server, the project's database by a Postgres, its public nodes by anvil.
 */
import { assertEquals, assertNotEquals } from "@std/assert";
import { openDatabase } from "../../local/database.ts";
import { startEvmNode } from "../../local/evm_node.ts";
import { createTicker } from "../../local/pg_cron.ts";
import { sendQueuedRequests } from "../../local/pg_net.ts";
import { findPostgres, startPostgres } from "../../local/postgres.ts";
import { LOCAL_KEYS } from "../../local/stack.ts";
import { untilRuns } from "./backlog.ts";
import { cliEnv, copyProject, projectRef, startManagementApi } from "./deployment.ts";
import { supabaseCli } from "./npm_binary.ts";
import { startUploaded } from "./uploaded_function.ts";

const binaries = await findPostgres();
const missing = "missing" in binaries ? ` (${binaries.missing})` : "";

Deno.test({
  name: `README deploys, rotates the secret and uninstalls${missing}`,
  ignore: missing !== "" || Deno.build.os === "windows",
  async fn(test) {
    const [deploy, rotate, uninstall] = await commandsOfReadme();
    await using server = await startPostgres({ migrate: false });
    await using node = await startEvmNode({ chainId: 1 });
    await using api = await startManagementApi();
    await using shell = await startShell(server.url, api.profile);
    const step = (name: string, fn: () => Promise<void>) =>
      test.step({ name, sanitizeOps: false, sanitizeResources: false, fn });

    await step("six commands are all it takes", async () => {
      assertEquals(deploy!.trim().split("\n").length, 6);
      await shell.run(deploy!);
      assertEquals(Object.keys(api.secrets), ["BALANCE_SYNC_SECRET"]);
      assertEquals(api.files.has("functions/balance-sync/index.ts"), true);
    });

    // the database is there now, and the Data API does not migrate it
    await using database = await openDatabase(LOCAL_KEYS, server.url);
    const { sql } = database;
    await using door = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      database.dataApi,
    );
    const startFunction = () =>
      startUploaded({ ...api, code: 0, stdout: "", stderr: "" }, {
        SUPABASE_URL: `http://127.0.0.1:${door.addr.port}`,
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: LOCAL_KEYS.secretKey }),
        ...api.secrets,
      });
    /** The schedule of a project whose function is not at supabase.co but here. */
    const tick = async (functionUrl: string) => {
      const never = new AbortController().signal;
      const ticker = createTicker(sql);
      await ticker(0);
      await ticker(30_000);
      await sql("update net.http_request_queue set url = $1", [functionUrl]);
      await sendQueuedRequests(sql, never);
      await untilRuns(sql, "bool_and(ended_at is not null)");
    };
    const accepted = async () => {
      const answers = await sql<{ status_code: number }>(
        "select status_code from net._http_response order by id",
      );
      return answers.map(({ status_code }) => status_code);
    };

    await step("thirty seconds later the first row is synced", async () => {
      await sql("update public.chains set rpc_url = $1 where name = 'ethereum'", [node.url]);
      await sql("update public.chains set is_active = false where name <> 'ethereum'");
      await using uploaded = await startFunction();
      await tick(`${uploaded.url}/balance-sync`);
      assertEquals(await accepted(), [202]);
      const synced = await sql(
        `select c.name, a.is_native, b.sync_count
         from public.wallet_balances as b
         join public.asset_on_chain as a on a.id = b.asset_on_chain_id
         join public.chains as c on c.id = a.chain_id
         where b.on_chain_balance_raw is not null`,
      );
      assertEquals(synced, [{ name: "ethereum", is_native: true, sync_count: 1 }]);
    });

    await step(
      "after the rotation the function knows the new secret only, and so does the schedule",
      async () => {
        const before = api.secrets.BALANCE_SYNC_SECRET;
        await shell.run(rotate!);
        assertNotEquals(api.secrets.BALANCE_SYNC_SECRET, before);
        await sql("update public.wallet_balances set next_sync_at = now() where sync_count = 1");
        await using uploaded = await startFunction();
        await tick(`${uploaded.url}/balance-sync`);
        assertEquals(await accepted(), [202, 202]);
      },
    );

    await step("one call leaves the tables and the balance", async () => {
      await shell.run(uninstall!.split("\n")[0]!);
      const [left] = await sql(
        `select
           to_regnamespace('balance_sync') as schema,
           (select count(*)::integer from cron.job) as jobs,
           (select count(*)::integer from vault.secrets) as secrets,
           (select count(*)::integer from supabase_migrations.schema_migrations) as migrations,
           (select count(*)::integer from public.wallet_balances where sync_count > 0) as balances`,
      );
      assertEquals(left, { schema: null, jobs: 0, secrets: 0, migrations: 0, balances: 1 });
    });
  },
});

/** The shell blocks of README's "Deploy". */
async function commandsOfReadme(): Promise<string[]> {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const section = readme.split(/^## /m).find((part) => part.startsWith("Deploy\n"))!;
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands!);
}

interface Shell extends AsyncDisposable {
  run(commands: string): Promise<void>;
}

/**
 * A shell that keeps its variables, in which `npx supabase@3` is the CLI: logged in, asked nothing,
 * and for `--remote=<ref>` given the database of that project.
 */
async function startShell(databaseUrl: string, profile: string[]): Promise<Shell> {
  const project = await copyProject();
  const npx = `#!/bin/sh
    shift
    case "$1" in
      login) exit ;;
      db) remote="--remote=${databaseUrl}?sslmode=disable" ;;
      *) remote="--remote=${projectRef} ${profile.join(" ")}" ;;
    esac
    for argument do
      shift
      case "$argument" in --remote=*) ;; *) set -- "$@" "$argument" ;; esac
    done
    exec ${await supabaseCli()} "$@" $remote --yes
  `;
  await Deno.mkdir(`${project.folder}/bin`);
  await Deno.writeTextFile(`${project.folder}/bin/npx`, npx, { mode: 0o755 });
  const variables = `${project.folder}/variables`;
  await Deno.writeTextFile(variables, "");
  return {
    async run(commands) {
      const script = `. ${variables}\nset -eu\n${
        commands.replaceAll("<ref>", projectRef)
      }\nexport -p > ${variables}\n`;
      const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
        args: ["-c", script],
        cwd: project.folder,
        clearEnv: true,
        env: {
          PATH: `${project.folder}/bin:${Deno.env.get("PATH")}`,
          HOME: project.folder,
          ...cliEnv,
        },
      }).output();
      if (code !== 0) {
        const told = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
        throw new Error(`Cannot run the commands: exit ${code}\n${told}`);
      }
    },
    [Symbol.asyncDispose]: () => project[Symbol.asyncDispose](),
  };
}
