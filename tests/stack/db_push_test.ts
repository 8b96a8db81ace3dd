import { assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import postgres from "postgres";
import { findPostgres, startPostgres } from "../../local/postgres.ts";
import { supabaseCli } from "./npm_binary.ts";

const binaries = await findPostgres();
const missing = "missing" in binaries ? ` (${binaries.missing})` : "";

Deno.test({
  name: `supabase db push brings a project's database up to date${missing}`,
  ignore: missing !== "",
  async fn(test) {
    await using server = await startPostgres({ migrate: false });
    const sql = postgres(server.url, { max: 1, onnotice: () => {} });
    const secrets = {
      BALANCE_SYNC_URL: "https://ref.supabase.co/functions/v1/balance-sync",
      BALANCE_SYNC_SECRET: "of the push",
    };
    const step = (name: string, fn: () => Promise<void>) =>
      test.step({ name, sanitizeOps: false, sanitizeResources: false, fn });

    await step("every migration and the seed apply, without a warning", async () => {
      const told = await push(server.url, secrets, "--include-seed");
      assertStringIncludes(told, "Finished supabase db push");
      assertEquals(told.split("\n").filter((line) => /^warn|deprecat|error/i.test(line)), []);
      const [{ claimed } = { claimed: undefined }] = await sql`
        select public.claim_wallet_balances('w') ->> 'claimed' as claimed`;
      assertEquals(claimed, "6");
    });

    await step("what dispatch() reads came from the environment into Vault", async () => {
      const kept = await sql`
        select name, decrypted_secret as secret from vault.decrypted_secrets order by name`;
      assertEquals([...kept], [
        { name: "balance_sync_secret", secret: secrets.BALANCE_SYNC_SECRET },
        { name: "balance_sync_url", secret: secrets.BALANCE_SYNC_URL },
      ]);
    });

    await step("a second push finds nothing to do, and needs no secrets for it", async () => {
      assertStringIncludes(await push(server.url, {}), "up to date");
      const [{ kept } = { kept: 0 }] = await sql`select count(*)::int as kept from vault.secrets`;
      assertEquals(kept, 2);
    });
    await sql.end();
  },
});

async function push(
  url: string,
  env: Record<string, string>,
  ...flags: string[]
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(await supabaseCli(), {
    args: ["db", "push", "--yes", `--remote=${url}?sslmode=disable`, ...flags],
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    clearEnv: true,
    env: {
      ...env,
      PATH: Deno.env.get("PATH") ?? "",
      HOME: Deno.env.get("HOME") ?? "",
      SUPABASE_TELEMETRY_DISABLED: "1",
      DO_NOT_TRACK: "1",
    },
  }).output();
  const told = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (code !== 0) throw new Error(`Cannot push: ${told}`);
  return told;
}
