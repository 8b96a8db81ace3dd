/** What a caller meets at the stack's address: the Data API with its roles, and the function. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { openDatabase } from "../../local/database.ts";
import { findPostgres, startPostgres } from "../../local/postgres.ts";
import { LOCAL_KEYS, startStack } from "../../local/stack.ts";

const rpcs: Record<string, unknown> = {
  claim_wallet_balances: { worker_id: "intruder" },
  record_wallet_balances: { claim_id: crypto.randomUUID(), results: [] },
  release_wallet_balances: { claim_id: crypto.randomUUID() },
  balance_sync_status: {},
};

const binaries = await findPostgres();
const servers = { PGlite: false, "a real Postgres": true };
for (const [name, isReal] of Object.entries(servers)) {
  const missing = isReal && "missing" in binaries ? ` (${binaries.missing})` : "";
  Deno.test({
    name: `the Data API on ${name} knows its roles${missing}`,
    ignore: missing !== "",
    async fn(test) {
      await using server = isReal ? await startPostgres() : undefined;
      await using database = await openDatabase(LOCAL_KEYS, server?.url);
      const step = (fact: string, fn: () => Promise<void>) =>
        test.step({ name: fact, sanitizeOps: false, sanitizeResources: false, fn: quietly(fn) });
      const call = (path: string, apikey: string, body?: unknown) =>
        database.dataApi(
          new Request(`http://127.0.0.1/rest/v1/${path}`, {
            method: body ? "POST" : "GET",
            headers: { apikey, "content-type": "application/json" },
            body: body ? JSON.stringify(body) : null,
          }),
        );

      for (const [rpc, args] of Object.entries(rpcs)) {
        await step(`a publishable key gets 42501 from ${rpc}`, async () => {
          const response = await call(`rpc/${rpc}`, LOCAL_KEYS.publishableKey, args);
          assertEquals(response.status, 401);
          assertEquals((await response.json()).code, "42501");
        });
        await step(`a secret key is served by ${rpc}`, async () => {
          const response = await call(`rpc/${rpc}`, LOCAL_KEYS.secretKey, args);
          assertEquals(response.status, 200);
          await response.body?.cancel();
        });
      }

      for (const table of ["wallet_balances", "chains", "user_wallet_addresses"]) {
        await step(`a publishable key gets 42501 from ${table}`, async () => {
          const response = await call(table, LOCAL_KEYS.publishableKey);
          assertEquals((await response.json()).code, "42501");
        });
      }

      await step("a key that is none gets no further", async () => {
        const response = await call("chains", "sb_secret_of_another_project");
        assertEquals(response.status, 401);
        await response.body?.cancel();
      });

      await step("the schema of the worker is not served at all", async () => {
        const response = await database.dataApi(
          new Request("http://127.0.0.1/rest/v1/settings", {
            headers: { apikey: LOCAL_KEYS.secretKey, "accept-profile": "balance_sync" },
          }),
        );
        assertEquals(response.status, 406);
        await response.body?.cancel();
      });

      await step("no grant is there that the migrations did not give", async () => {
        const granted = await database.sql(
          `select table_schema, table_name, grantee, privilege_type
           from information_schema.table_privileges
           where table_schema in ('public', 'balance_sync') and grantee in ('anon', 'authenticated')`,
        );
        assertEquals(granted, []);
      });

      await step("requests at once do not meet in one transaction", async () => {
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, i) => {
            const key = i % 2 === 0 ? LOCAL_KEYS.secretKey : LOCAL_KEYS.publishableKey;
            return call("rpc/balance_sync_status", key, {});
          }),
        );
        assertEquals(
          answers.map(({ status }) => status),
          answers.map((_, i) => i % 2 === 0 ? 200 : 401),
        );
        await Promise.all(answers.map(({ body }) => body?.cancel()));
      });

      await step("the seed of supabase start applies", async () => {
        const seed = await Deno.readTextFile(
          new URL("../../supabase/seed.sql", import.meta.url),
        );
        for (const statement of seed.split(/;\n/).filter((text) => /^\s*[^-\s]/m.test(text))) {
          await database.sql(statement);
        }
        const response = await call("rpc/claim_wallet_balances", LOCAL_KEYS.secretKey, {
          worker_id: "w",
        });
        const { claimed, chains } = await response.json();
        assertEquals(claimed, 6);
        assertEquals(chains.length, 3);
      });
    },
  });
}

Deno.test("one address leads to the Data API and to the function", async (test) => {
  await using stack = await startStack();
  const step = (name: string, fn: () => Promise<void>) =>
    test.step({ name, sanitizeOps: false, sanitizeResources: false, fn });

  await step("the function answers below /functions/v1/balance-sync", async () => {
    await stack.sql("select balance_sync.schedule('59 seconds')");
    const health = await fetch(`${stack.functionUrl}/health`, {
      headers: { apikey: stack.secretKey },
    });
    assertEquals([health.status, (await health.json()).status], [200, "healthy"]);
    const metrics = await fetch(`${stack.functionUrl}/metrics`, {
      headers: { authorization: `Bearer ${stack.secretKey}` },
    });
    assertStringIncludes(await metrics.text(), "# TYPE ");
  });

  await step("the function refuses the publishable key", async () => {
    const response = await fetch(stack.functionUrl, {
      method: "POST",
      headers: { apikey: stack.publishableKey },
    });
    assertEquals(response.status, 401);
    await response.body?.cancel();
  });

  await step("a body and a header reach the function, and its refusal comes back", async () => {
    const response = await fetch(stack.functionUrl, {
      method: "POST",
      headers: { apikey: stack.secretKey },
      body: JSON.stringify({ batch_size: 0 }),
    });
    assertEquals(response.status, 400);
    assertStringIncludes((await response.json()).error.message, "batch_size");
  });

  for (const path of ["/", "/rest/v2/chains", "/functions/v1/balance-sync-not", "/auth/v1/user"]) {
    await step(`nothing answers at ${path}`, async () => {
      const response = await fetch(stack.url + path, { headers: { apikey: stack.secretKey } });
      assertEquals(response.status, 404);
      await response.body?.cancel();
    });
  }

  await step("Vault leads the dispatch to the function", async () => {
    const secrets = await stack.sql(
      "select name, decrypted_secret from vault.decrypted_secrets order by name",
    );
    assertEquals(secrets, [
      { name: "balance_sync_secret", decrypted_secret: stack.syncSecret },
      { name: "balance_sync_url", decrypted_secret: stack.functionUrl },
    ]);
  });
});

const missing = "missing" in binaries ? ` (${binaries.missing})` : "";
Deno.test({
  name: `a database whose Vault leads to another installation is left alone${missing}`,
  ignore: missing !== "",
  async fn() {
    await using server = await startPostgres();
    await using database = await openDatabase(LOCAL_KEYS, server.url);
    const elsewhere = "https://ref.supabase.co/functions/v1/balance-sync";
    await database.sql("select vault.create_secret($1, 'balance_sync_url')", [elsewhere]);
    await assertRejects(
      () => startStack({ databaseUrl: server.url }),
      Error,
      "Cannot use this database: its Vault secret balance_sync_url belongs to another installation",
    );
    const kept = await database.sql("select name, decrypted_secret from vault.decrypted_secrets");
    assertEquals(kept, [{ name: "balance_sync_url", decrypted_secret: elsewhere }]);
  },
});

/** @supabase/lite writes each refusal of the database to the console, which here says nothing new. */
function quietly(fn: () => Promise<void>): () => Promise<void> {
  return async () => {
    const { error } = console;
    console.error = () => {};
    try {
      await fn();
    } finally {
      console.error = error;
    }
  };
}
