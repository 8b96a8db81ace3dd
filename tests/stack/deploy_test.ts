import { assert, assertEquals } from "@std/assert";
import { startStack } from "../../local/stack.ts";
import { startWorldChains } from "../../local/world_chains.ts";
import { examineWorld } from "../../local/world_outcome.ts";
import { seedWorld } from "../../local/world_seed.ts";
import { deploy, type Deployment } from "./deployment.ts";
import { startUploaded } from "./uploaded_function.ts";

Deno.test("a deployment by the Supabase CLI", async (t) => {
  let deployment: Deployment;

  await t.step("succeeds without a warning", async () => {
    deployment = await deploy();
    const { code, stdout, stderr, requests } = deployment;
    // a source may be named for errors
    const lines = (stdout + stderr).split("\n").filter((line) =>
      !line.startsWith("Uploading asset")
    );
    assertEquals(lines.filter((line) => /warn|deprecat|error|fallback/i.test(line)), []);
    assertEquals(code, 0);
    const project = "/v1/projects/abcdefghijklmnopqrst";
    assertEquals(requests[0], `POST ${project}/functions/deploy?slug=balance-sync`);
  });

  await t.step("asks the platform to check no JWT and tells it where to begin", () => {
    const { name, verify_jwt, entrypoint_path, import_map_path } = deployment.metadata;
    assertEquals({ name, verify_jwt, entrypoint_path, import_map_path }, {
      name: "balance-sync",
      verify_jwt: false,
      entrypoint_path: "functions/balance-sync/index.ts",
      import_map_path: "import_map.json",
    });
  });

  await t.step("uploads the sources of the function and nothing beside them", () => {
    const names = [...deployment.files.keys()];
    assert(names.includes("functions/balance-sync/index.ts"));
    assertEquals(
      names.filter((name) => !/^(import_map\.json|functions\/balance-sync\/.+\.ts)$/.test(name)),
      [],
    );
  });

  await t.step("runs on the hosted runtime's Deno and syncs every row as it should", async () => {
    const [stack, chains] = await Promise.all([startStack(), startWorldChains()]);
    await using _stack = stack;
    await using _chains = chains;
    const world = await seedWorld(stack.sql, chains.chains);
    await using uploaded = await startUploaded(deployment, {
      SUPABASE_URL: stack.url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: stack.secretKey }),
      BALANCE_SYNC_SECRET: "of-the-upload",
    });
    assert(uploaded.said.includes("Deno 2.1.4"));

    const response = await fetch(`${uploaded.url}/balance-sync`, {
      method: "POST",
      headers: { "x-balance-sync-secret": "of-the-upload" },
    });
    assertEquals([response.status, (await response.json()).stopped_because], [200, "drained"]);
    const outcomes = await examineWorld(stack.sql, world.rows, chains.chains);
    assertEquals(outcomes.filter(({ faults }) => faults.length > 0), []);
    await world.remove();

    const events = uploaded.said.filter((line) => line.startsWith("{")).map((line) =>
      JSON.parse(line)
    );
    assertEquals(events.map(({ message }) => message), ["Balance sync run ended"]);
  });
});
