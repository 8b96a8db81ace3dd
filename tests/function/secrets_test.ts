import { assertEquals, assertGreater } from "@std/assert";
import {
  evmAddress,
  get,
  onProject,
  post,
  type Project,
  secretKey,
  syncSecret,
} from "./project.ts";

/** Each is in the one place where such a secret belongs, and must be found nowhere else. */
const canaries = {
  path: "canary-in-path-7c1f",
  query: "canary-in-query-93ab",
  user: "canary-user-52de",
  password: "canary-password-0f4e",
  header: "canary-in-header-b8d2",
  vault: "canary-in-vault-e61a",
  secretKey,
  syncSecret,
};

/** Nodes that do their best to hand the secret on: what they were sent is what they answer. */
const nodes: Record<string, (request: Request) => Response | Promise<Response>> = {
  "repeats the request in an error": (request) =>
    Response.json({ jsonrpc: "2.0", id: 1, error: { code: -32000, message: told(request) } }),
  "repeats the request in HTML": (request) =>
    new Response(`<html>${told(request)}</html>`, { headers: { "content-type": "text/html" } }),
  "repeats the request with HTTP 401": (request) => new Response(told(request), { status: 401 }),
  "repeats the request with HTTP 500": (request) => new Response(told(request), { status: 500 }),
  "redirects to itself": (request) =>
    new Response(null, { status: 302, headers: { location: `${request.url}&again=1` } }),
  "answers what is no JSON-RPC": (request) => Response.json({ asked: told(request) }),
  "names them in a revert": (request) =>
    Response.json({
      jsonrpc: "2.0",
      id: 1,
      error: { code: 3, message: `execution reverted: ${told(request)}`, data: "0x" },
    }),
};

function told(request: Request): string {
  return `${request.url} ${JSON.stringify([...request.headers])}`;
}

/** All that a reader of the database sees, but for the places where a secret is configured. */
async function everyColumn(project: Project): Promise<string> {
  const tables = await project.sql<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_catalog.pg_tables
     where schemaname in ('public', 'balance_sync', 'net', 'cron')
       and (schemaname, tablename) not in (('balance_sync', 'chain_settings'))`,
  );
  const rows = await Promise.all(
    tables.map(({ name }) =>
      project.sql(`select to_jsonb(t) - 'rpc_url' as row from ${name} as t`)
    ),
  );
  return JSON.stringify(rows);
}

onProject("no secret reaches a log, an answer or a column", {
  async "whatever a node does with it"({ project, said }) {
    let requests = 0;
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      requests++;
      const kind = new URL(request.url).searchParams.get("kind")!;
      return nodes[kind]!(request);
    });
    try {
      await project.sql("delete from vault.secrets where name = 'canary'");
      await project.sql("select vault.create_secret($1, 'canary')", [canaries.vault]);
      for (const kind of [...Object.keys(nodes), "is not there"]) {
        const host = kind === "is not there" ? "127.0.0.1:9" : `127.0.0.1:${server.addr.port}`;
        const { user, password, path, query } = canaries;
        const url = `http://${user}:${password}@${host}/v3/${path}?key=${query}&kind=${
          encodeURIComponent(kind)
        }`;
        for (const family of ["evm", "tron"]) {
          const chain = await project.addChain(`${family} that ${kind}`, url, {
            adapter: family,
            fallback_rpc_urls: [url.replace("/v3/", "/v4/")],
            rpc_headers: { "x-api-key": canaries.header, "x-vault-key": "vault:canary" },
            request_timeout_ms: 2000,
          });
          const address = family === "tron" ? "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8" : evmAddress(1);
          await project.addBalances(chain, [address]);
        }
      }

      const answers: string[] = [];
      const handler = project.handler({ logLevel: "debug" });
      for (
        const request of [
          post({ dry_run: true }),
          post({}, { accept: "application/x-ndjson" }),
          get("/health"),
          get("/metrics"),
        ]
      ) {
        const response = await handler(request);
        answers.push(JSON.stringify([...response.headers]), await response.text());
      }
      assertGreater(requests, Object.keys(nodes).length * 2);
      assertGreater(said.length, Object.keys(nodes).length * 2);
      const columns = await everyColumn(project);
      assertGreater(columns.split("last_error").length, Object.keys(nodes).length);

      for (const [name, canary] of Object.entries(canaries)) {
        const found = [...said, ...answers, columns].filter((text) =>
          text.includes(canary) || text.includes(btoa(canary))
        );
        assertEquals(found.map((text) => text.slice(0, 500)), [], name);
      }
    } finally {
      await server.shutdown();
    }
  },

  async "whatever a caller does with it"({ project, said }) {
    const answers: string[] = [];
    const handler = project.handler({ logLevel: "debug" });
    const url = `https://rpc.example/v3/${canaries.path}`;
    for (
      const request of [
        post({ chain: url }),
        post({ [url]: 1 }),
        post({ batch_size: url }),
        post({}, { "x-balance-sync-run": secretKey }),
        get(`/${secretKey}`),
        post({}, { apikey: `${secretKey}x`, "x-balance-sync-secret": `${syncSecret}x` }),
      ]
    ) {
      const response = await handler(request);
      assertGreater(response.status, 399);
      answers.push(await response.text());
    }
    // Beside the function's lines there are those of @supabase/lite, which quotes what Postgres said.
    const lines = said.filter((line) => line.startsWith("{"));
    assertGreater(lines.length, 0);
    for (const canary of Object.values(canaries)) {
      assertEquals([...lines, ...answers].filter((text) => text.includes(canary)), []);
    }
  },
});
