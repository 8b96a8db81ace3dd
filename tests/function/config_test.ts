import { assertEquals, assertStringIncludes } from "@std/assert";
import { readConfig } from "../../functions/balance-sync/config.ts";

const hosted = {
  SUPABASE_URL: "https://project.supabase.co",
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_default","ops":"sb_secret_ops"}',
  SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_default"}',
  BALANCE_SYNC_SECRET: "a-secret",
};

function read(env: Record<string, string>) {
  return readConfig((name) => env[name]);
}

Deno.test("a hosted project's environment has no problem", () => {
  const config = read(hosted);
  assertEquals(config.problems, []);
  assertEquals(config.databaseKey, "sb_secret_default");
  assertEquals(config.secrets, ["a-secret"]);
  assertEquals(config.secretKeys, ["sb_secret_default", "sb_secret_ops", "sb_secret_default"]);
  assertEquals([config.batchSize, config.lockSeconds], [null, null]);
  assertEquals(config.logLevel, "info");
});

Deno.test("an empty environment lets nobody in and says what is missing", () => {
  const config = read({});
  assertEquals([config.secrets, config.secretKeys], [[], []]);
  assertEquals(config.problems.length, 2);
  assertStringIncludes(config.problems.join(), "SUPABASE_URL");
  assertStringIncludes(config.problems.join(), "SUPABASE_SECRET_KEYS");
});

Deno.test("the default secret key comes before the older variables", () => {
  const older = {
    SUPABASE_SECRET_KEY: "sb_secret_single",
    SUPABASE_SERVICE_ROLE_KEY: "eyJ.legacy",
  };
  assertEquals(read({ ...hosted, ...older }).databaseKey, "sb_secret_default");
  const { SUPABASE_SECRET_KEYS: _, ...without } = hosted;
  assertEquals(read({ ...without, ...older }).databaseKey, "sb_secret_single");
  assertEquals(
    read({ ...without, SUPABASE_SERVICE_ROLE_KEY: "eyJ.legacy" }).databaseKey,
    "eyJ.legacy",
  );
});

Deno.test("a publishable key in a secret's place opens nothing", () => {
  const config = read({
    ...hosted,
    SUPABASE_SECRET_KEYS: '{"default":"sb_publishable_default"}',
    SUPABASE_SERVICE_ROLE_KEY: "eyJ.anon",
    SUPABASE_ANON_KEY: "eyJ.anon",
    BALANCE_SYNC_SECRET: "sb_publishable_default",
  });
  assertEquals([config.secrets, config.secretKeys, config.databaseKey], [[], [], ""]);
});

Deno.test("two secrets are read, blanks are none", () => {
  assertEquals(read({ ...hosted, BALANCE_SYNC_SECRET: " new , old " }).secrets, ["new", "old"]);
  assertEquals(read({ ...hosted, BALANCE_SYNC_SECRET: "new," }).secrets, ["new"]);
  assertEquals(read({ ...hosted, BALANCE_SYNC_SECRET: " , " }).secrets, []);
});

Deno.test("three secrets are a mistake and none of them opens", () => {
  const config = read({ ...hosted, BALANCE_SYNC_SECRET: "one,two,three" });
  assertEquals(config.secrets, []);
  assertStringIncludes(config.problems.join(), "at most 2");
});

Deno.test("an override outside its range is a problem and is not used", () => {
  for (const text of ["0", "-1", "1.5", "1001", "1e3", "fifty", "0x10"]) {
    const config = read({ ...hosted, BATCH_SIZE: text });
    assertEquals(config.batchSize, null, text);
    assertStringIncludes(config.problems.join(), "BATCH_SIZE", text);
  }
  assertEquals(read({ ...hosted, BATCH_SIZE: "1" }).batchSize, 1);
  assertEquals(read({ ...hosted, BATCH_SIZE: "1000" }).batchSize, 1000);
  assertEquals(read({ ...hosted, LOCK_DURATION_SECONDS: "30" }).lockSeconds, 30);
  assertEquals(read({ ...hosted, BATCH_SIZE: "" }).problems, []);
});

Deno.test("a problem names the variable and never its value when that may be a secret", () => {
  const config = read({
    SUPABASE_URL: "postgres://user:hunter22@host",
    SUPABASE_SECRET_KEYS: '{"default":"sb_secret_hunter22"',
    BALANCE_SYNC_SECRET: "hunter22,hunter22,hunter22",
    LOG_LEVEL: "hunter22",
  });
  assertEquals(config.problems.length, 5);
  assertEquals(config.problems.filter((problem) => problem.includes("hunter22")), []);
});
