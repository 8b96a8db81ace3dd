import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { get, onProject, post, publishableKey, secretKey, syncSecret } from "./project.ts";

async function error(response: Response): Promise<[status: number, code: string]> {
  const { error } = await response.json();
  assertEquals(Object.keys(error), ["code", "message"]);
  assertMatch(error.message, /^Cannot .+[^.]$/s);
  return [response.status, error.code];
}

onProject("the function over HTTP", {
  async "nothing due: an idle run answers zeros and says good-bye"({ project }) {
    const response = await project.handler()(post());
    assertEquals(response.status, 200);
    const { run_id, duration_ms, ...summary } = await response.json();
    assertEquals(typeof duration_ms, "number");
    assertEquals(summary, {
      worker_id: `balance-sync:${run_id}`,
      batches: 0,
      claimed: 0,
      recorded: 0,
      changed: 0,
      failed: 0,
      stale: 0,
      lost: 0,
      released: 0,
      stopped_because: "drained",
      chains: [],
    });
    const runs = await project.sql("select id, stopped_because, error from balance_sync.runs");
    assertEquals(runs, [{ id: run_id, stopped_because: "drained", error: null }]);
  },

  async "whoever has no secret learns nothing, not even which paths there are"({ project }) {
    const handler = project.handler();
    const wrong: Record<string, string>[] = [
      {},
      { apikey: publishableKey },
      { authorization: `Bearer ${publishableKey}` },
      { "x-balance-sync-secret": "wrong" },
    ];
    for (const headers of wrong) {
      for (const path of ["", "/", "/health", "/metrics", "/nowhere"]) {
        for (const method of ["GET", "POST", "DELETE", "OPTIONS"]) {
          const request = new Request(`http://localhost/balance-sync${path}`, { method, headers });
          assertEquals(await error(await handler(request)), [401, "unauthorized"]);
        }
      }
    }
    assertEquals(project.trips, []);
  },

  async "each credential of the contract opens the function"({ project }) {
    const handler = project.handler();
    const right: Record<string, string>[] = [
      { "x-balance-sync-secret": syncSecret },
      { apikey: secretKey },
      { authorization: `Bearer ${secretKey}` },
    ];
    for (const headers of right) {
      const request = new Request("http://localhost/balance-sync", { method: "POST", headers });
      const response = await handler(request);
      await response.body?.cancel();
      assertEquals(response.status, 200);
    }
  },

  async "the function answers below the platform's path, its own and none"({ project }) {
    const handler = project.handler();
    for (const base of ["/functions/v1/balance-sync", "/balance-sync", ""]) {
      for (const path of ["/health", "/health/"]) {
        const response = await handler(
          new Request(`http://localhost${base}${path}`, { headers: { apikey: secretKey } }),
        );
        assertEquals([response.status, (await response.json()).status], [200, "healthy"], base);
      }
    }
  },

  async "another path is 404, another method 405 with the one that is allowed"({ project }) {
    const handler = project.handler();
    for (const path of ["/nowhere", "/health/more", "-sync", "/functions/v1/other"]) {
      assertEquals(await error(await handler(get(path))), [404, "not_found"], path);
    }
    for (
      const [path, method, allow] of [
        ["/", "GET", "POST"],
        ["/", "PUT", "POST"],
        ["/health", "POST", "GET"],
        ["/metrics", "DELETE", "GET"],
      ]
    ) {
      const request = new Request(`http://localhost/balance-sync${path}`, {
        method: method!,
        headers: { apikey: secretKey },
      });
      const response = await handler(request);
      assertEquals(response.headers.get("allow"), allow);
      assertEquals(await error(response), [405, "method_not_allowed"], path);
    }
  },

  async "a body that is refused costs no trip to the database"({ project }) {
    const handler = project.handler();
    for (const body of [[], { batch_size: "50" }, { chain: "" }, { limit: 5 }]) {
      assertEquals(await error(await handler(post(body))), [400, "invalid_request"]);
    }
    const run = { "x-balance-sync-run": "not-a-uuid" };
    assertEquals(await error(await handler(post({}, run))), [400, "invalid_request"]);
    assertEquals(project.trips, []);
  },

  async "a chain that does not exist is the caller's mistake, however the answer is wanted"(
    { project },
  ) {
    const handler = project.handler({ logLevel: "error" });
    for (const accept of ["application/json", "application/x-ndjson"]) {
      const response = await handler(post({ chain: "nowhere" }, { accept }));
      const answer = await response.json();
      assertEquals([response.status, answer.error.code], [400, "invalid_request"]);
      assertStringIncludes(answer.error.message, '"nowhere"');
    }
  },

  async "a function without its environment tells authorized callers what is missing"({ project }) {
    const handler = project.handler({ problems: ["Cannot read SUPABASE_URL: expected a URL"] });
    assertEquals(await error(await handler(post())), [500, "misconfigured"]);
    assertEquals(await error(await handler(post({}, { prefer: "respond-async" }))), [
      500,
      "misconfigured",
    ]);
    const health = await handler(get("/health"));
    assertEquals(health.status, 503);
    assertEquals((await health.json()).reasons, ["Cannot read SUPABASE_URL: expected a URL"]);
  },

  async "a database that cannot be reached is 503 without its address"({ project }) {
    const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = nobody.addr;
    nobody.close();
    const handler = project.handler({ supabaseUrl: `http://127.0.0.1:${port}` });
    for (const request of [post(), get("/metrics")]) {
      const response = await handler(request);
      const text = await response.text();
      assertEquals([response.status, JSON.parse(text).error.code], [503, "database_unavailable"]);
      assertEquals(text.includes(String(port)), false);
    }
    assertEquals((await handler(get("/health"))).status, 503);
  },
});
