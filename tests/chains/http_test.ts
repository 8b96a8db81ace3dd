import { assert, assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import type { ChainSettings } from "../../functions/balance-sync/chains/adapter.ts";
import {
  ChainFailure,
  type Endpoint,
  jsonOf,
  openTransport,
  parseJson,
} from "../../functions/balance-sync/chains/http.ts";
import { type Behaviour, failures, startProxy } from "./proxy.ts";

const never = new AbortController().signal;

/** Servers that answer `{"server": n}` until told otherwise, and a transport over all of them. */
async function bundle(count = 1) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => startProxy("http://127.0.0.1:1")),
  );
  const well = (n: number): Behaviour => () => Response.json({ server: n });
  servers.forEach((server, i) => server.behave(well(i + 1)));
  const [first, ...fallbacks] = servers.map(({ url }) => url);
  return {
    servers,
    well,
    open: (settings: ChainSettings = {}, path = "") =>
      openTransport({
        chain_id: "",
        name: "",
        adapter: "",
        rpc_url: first + path,
        settings: { fallback_rpc_urls: fallbacks, ...settings },
      }),
    requests: () => servers.map(({ seen }) => seen.length),
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) await server[Symbol.asyncDispose]();
    },
  };
}

const ask = async (endpoint: Endpoint) =>
  jsonOf(await endpoint.send({ body: "{}" }), endpoint.alias);

async function failureOf(promise: Promise<unknown>): Promise<ChainFailure> {
  const failure = await promise.then(() => undefined, (failure) => failure);
  assert(failure instanceof ChainFailure, `expected a ChainFailure: ${Deno.inspect(failure)}`);
  return failure as ChainFailure;
}

Deno.test("one request is one request, to the first endpoint", async () => {
  await using web = await bundle(2);
  const transport = web.open();
  assertEquals(await transport.run(ask, never), { server: 1 });
  assertEquals([transport.rpcCalls, web.requests()], [1, [1, 0]]);
});

Deno.test("headers, user-info as authorization, and the URL's own path and query are sent", async () => {
  await using web = await bundle();
  const seen: Request[] = [];
  web.servers[0]!.behave(({ request }) => {
    seen.push(request);
    return Response.json({});
  });
  const open = (rpc_url: string, settings: ChainSettings) =>
    openTransport({ chain_id: "", name: "", adapter: "", rpc_url, settings });
  const base = web.servers[0]!.url.replace("http://", "http://us%20er:p%40ss@");
  const path = (endpoint: Endpoint) =>
    endpoint.send({ path: "/wallet/getaccount?a=1", method: "GET" });
  await open(`${base}/v2/key/?k=2`, { rpc_headers: { "TRON-PRO-API-KEY": "x" } }).run(path, never);
  await open(base, { rpc_headers: { Authorization: "Bearer mine" } }).run(ask, never);
  const [first, second] = seen as [Request, Request];
  assertEquals(new URL(first.url).pathname, "/v2/key/wallet/getaccount");
  assertEquals(new URL(first.url).search, "?k=2&a=1");
  assertEquals(first.method, "GET");
  assertEquals(first.headers.get("tron-pro-api-key"), "x");
  assertEquals(first.headers.get("authorization"), `Basic ${btoa("us er:p@ss")}`);
  assertEquals(second.headers.get("authorization"), "Bearer mine");
  assertEquals(new URL(second.url).pathname, "/");
});

Deno.test("what broke on the way is tried three times in all, and not again in the run", async () => {
  await using web = await bundle();
  const transport = web.open();
  web.servers[0]!.behave(failures.broken);
  assertEquals((await failureOf(transport.run(ask, never))).code, "rpc_unreachable");
  assertEquals(transport.rpcCalls, 3);
  assertEquals((await failureOf(transport.run(ask, never))).code, "rpc_unreachable");
  assertEquals(transport.rpcCalls, 3);
});

Deno.test("an answer that is nonsense is not asked for again, unless elsewhere", async () => {
  await using web = await bundle(2);
  const [first, second] = web.servers as [typeof web.servers[0], typeof web.servers[0]];
  first!.behave(failures.html);
  const transport = web.open();
  assertEquals(await transport.run(ask, never), { server: 2 });
  assertEquals(web.requests(), [1, 1]);
  second!.behave(failures.html);
  const failure = await failureOf(transport.run(ask, never));
  assertEquals(failure.code, "rpc_bad_response");
  assertEquals(
    failure.message,
    "endpoint 1 of 2 answered 20 characters that are no JSON; " +
      "endpoint 2 of 2 answered 20 characters that are no JSON",
  );
  assertEquals(web.requests(), [2, 2]);
  first!.behave(web.well(1));
  assertEquals(await transport.run(ask, never), { server: 1 });
});

Deno.test("a fallback takes over from an endpoint that is down, before any waiting", async () => {
  await using web = await bundle(3);
  web.servers[0]!.behave(failures.reset);
  web.servers[1]!.behave(failures.broken);
  const transport = web.open();
  assertEquals(await transport.run(ask, never), { server: 3 });
  assertEquals(web.requests(), [1, 1, 1]);
});

Deno.test("an endpoint that is out is skipped for the rest of the run", async () => {
  await using web = await bundle(2);
  const transport = web.open();
  const picky = async (endpoint: Endpoint) => {
    const answer = await ask(endpoint) as { server: number };
    if (answer.server === 1) throw new ChainFailure("wrong_chain", "no", { remedy: "out" });
    return answer;
  };
  for (let i = 0; i < 3; i++) assertEquals(await transport.run(picky, never), { server: 2 });
  assertEquals(web.requests(), [1, 3]);
});

Deno.test("a verdict on the call itself, and a foreign error, are handed over as they are", async () => {
  await using web = await bundle(2);
  const transport = web.open();
  const verdict = new ChainFailure("call_reverted", "reverted");
  const foreign = new TypeError("a bug");
  for (const thrown of [verdict, foreign]) {
    const caught = await transport.run(async (endpoint) => {
      await ask(endpoint);
      throw thrown;
    }, never).catch((error) => error);
    assert(caught === thrown);
  }
  assertEquals(web.requests(), [2, 0]);
});

Deno.test("Retry-After is waited for in seconds when it fits the time there is", async () => {
  await using web = await bundle();
  let asked = 0;
  web.servers[0]!.behave(() =>
    asked++ > 0
      ? Response.json({})
      : new Response("", { status: 429, headers: { "retry-after": "1" } })
  );
  const began = performance.now();
  await web.open().run(ask, never);
  assert(performance.now() - began >= 1000);
  assertEquals(asked, 2);
});

Deno.test("Retry-After is honoured by every request of the run, not only the one that was told", async () => {
  await using web = await bundle();
  let limited = 0;
  const times: number[] = [];
  web.servers[0]!.behave(() => {
    times.push(performance.now());
    return limited++ > 0
      ? Response.json({})
      : new Response("", { status: 429, headers: { "retry-after": "1" } });
  });
  const transport = web.open({ max_parallel_requests: 2 });
  await assertRejects(() =>
    transport.run((endpoint) => ask(endpoint).then(() => Promise.reject(new Error("stop"))), never)
  );
  await Promise.all([transport.run(ask, never), transport.run(ask, never)]);
  assert(times[1]! - times[0]! >= 1000);
});

Deno.test("a longer Retry-After than there is time ends the endpoint at once, a shorter does not", async () => {
  for (const [seconds, requests] of [["3", 1], ["1", 3]] as const) {
    await using web = await bundle();
    const headers = { "retry-after": seconds };
    web.servers[0]!.behave(() => new Response("", { status: 429, headers }));
    // All attempts of a run fit into three timeouts: 2.7 s.
    const transport = web.open({ request_timeout_ms: 900 });
    assertEquals((await failureOf(transport.run(ask, never))).code, "rpc_rate_limited");
    assertEquals(transport.rpcCalls, requests);
    await failureOf(transport.run(ask, never));
    assertEquals(transport.rpcCalls, requests);
  }
});

Deno.test("every failure of a server is told apart, within the time and size allowed", async (t) => {
  await using web = await bundle();
  const expected: Record<keyof typeof failures, string> = {
    html: "rpc_bad_response: endpoint 1 of 1 answered 20 characters that are no JSON",
    empty: "rpc_bad_response: endpoint 1 of 1 answered 0 characters that are no JSON",
    notFound: "rpc_bad_response: endpoint 1 of 1 answered HTTP 404",
    unauthorized:
      "rpc_unauthorized: endpoint 1 of 1 answered HTTP 401: it refuses our key or address",
    broken: "rpc_unreachable: endpoint 1 of 1 answered HTTP 502",
    rateLimited: "rpc_rate_limited: endpoint 1 of 1 answered HTTP 429: too many requests",
    redirect:
      "rpc_bad_response: endpoint 1 of 1 answered HTTP 307, a redirect, which is not followed",
    huge: "rpc_bad_response: endpoint 1 of 1 answered more than 4194304 bytes",
    hang: "rpc_timeout: endpoint 1 of 1 gave no complete answer within",
    drip: "rpc_timeout: endpoint 1 of 1 gave no complete answer within",
    cut: "rpc_bad_response: endpoint 1 of 1 answered 7 characters that are no JSON",
    reset: "rpc_unreachable: endpoint 1 of 1 could not be reached, or closed the connection early",
  };
  for (const way of Object.keys(failures) as (keyof typeof failures)[]) {
    await t.step(way, async () => {
      const behaviour = way === "cut" ? () => new Response('{"a":1,') : failures[way];
      web.servers[0]!.behave(behaviour);
      const began = performance.now();
      const { code, message } = await failureOf(
        web.open({ request_timeout_ms: 200 }).run(ask, never),
      );
      assert(`${code}: ${message}`.startsWith(expected[way]), `${code}: ${message}`);
      assertLess(performance.now() - began, 3 * 200 + 400);
    });
  }
});

Deno.test("a failure holds no part of the URL and no header, however it is shown", async () => {
  await using web = await bundle();
  const settings = {
    request_timeout_ms: 100,
    rpc_headers: { "x-api-key": "canaryHeader", authorization: "Bearer canaryBearer" },
  };
  const ways: Record<string, Behaviour> = {
    ...failures,
    cut: () => new Response('{"canary":'),
    quoted: () => new Response("canaryBody", { status: 400 }),
  };
  for (const behaviour of Object.values(ways)) {
    web.servers[0]!.behave(behaviour);
    const failure = await failureOf(
      web.open(settings, "/v2/canaryPath?key=canaryQuery").run(ask, never),
    );
    const shown = Deno.inspect(failure, { depth: 9, showHidden: true }) + JSON.stringify(failure) +
      failure + failure.stack;
    assert(!/canary/i.test(shown), shown);
    assert(!shown.includes(web.servers[0]!.url), shown);
  }
});

Deno.test("a redirect's target never sees the request", async () => {
  await using web = await bundle(2);
  const [first, second] = web.servers as [typeof web.servers[0], typeof web.servers[0]];
  const location = second!.url;
  first!.behave(() => new Response("", { status: 308, headers: { location } }));
  await failureOf(web.open({ fallback_rpc_urls: [] }).run(ask, never));
  assertEquals(web.requests(), [1, 0]);
});

Deno.test("a compressed body counts as what it unpacks to", async () => {
  await using web = await bundle();
  const zipped = new Blob([new Uint8Array(20 * 1024 * 1024)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  const bomb = await new Response(zipped).bytes();
  assertLess(bomb.length, 100_000);
  const headers = { "content-encoding": "gzip" };
  web.servers[0]!.behave(() => new Response(bomb, { headers }));
  const { message } = await failureOf(web.open().run(ask, never));
  assertEquals(message, "endpoint 1 of 1 answered more than 4194304 bytes");
});

Deno.test("bytes that are no UTF-8 are no answer", async () => {
  await using web = await bundle();
  web.servers[0]!.behave(() => new Response(new Uint8Array([0x22, 0xff, 0x22])));
  assertEquals((await failureOf(web.open().run(ask, never))).code, "rpc_bad_response");
});

Deno.test("no more requests are under way than max_parallel_requests", async () => {
  await using web = await bundle();
  let now = 0, most = 0;
  web.servers[0]!.behave(async () => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    now--;
    return Response.json({});
  });
  const transport = web.open({ max_parallel_requests: 3 });
  await Promise.all(Array.from({ length: 12 }, () => transport.run(ask, never)));
  assertEquals([most, transport.rpcCalls], [3, 12]);
});

Deno.test("a stopped run ends at once, in a request, in a pause and in the queue", async () => {
  await using web = await bundle();
  const signals = () => {
    const stop = new AbortController();
    return { stop, signal: stop.signal };
  };
  for (const behaviour of [failures.hang, failures.broken] as Behaviour[]) {
    const { stop, signal } = signals();
    web.servers[0]!.behave((exchange) => {
      setTimeout(() => stop.abort(), 5);
      return behaviour(exchange);
    });
    const transport = web.open({ max_parallel_requests: 1 });
    const began = performance.now();
    const runs = [transport.run(ask, signal), transport.run(ask, signal)];
    for (const run of runs) assertEquals((await failureOf(run)).code, "aborted");
    assertLess(performance.now() - began, 1000);
    assertEquals(transport.rpcCalls, 1);
  }
});

Deno.test("JSON integers are exact, and a number that is not one is never an integer", () => {
  assertEquals(parseJson('{"a":9007199254740991,"b":[9007199254740993,-9223372036854775808]}'), {
    a: 9007199254740991,
    b: [9007199254740993n, -9223372036854775808n],
  });
  assertEquals(parseJson("[1.5,1e3,1.0,0.99999999999999999999,1e400,-0.0]"), [
    1.5,
    NaN,
    NaN,
    NaN,
    Infinity,
    NaN,
  ]);
  assertEquals(parseJson('"9007199254740993"'), "9007199254740993");
  assertThrows(() => parseJson("[".repeat(1_000_000)));
});

Deno.test("settings that cannot be used are refused when the chain is opened", () => {
  const open = (rpc_url: unknown, settings: unknown = {}) => () =>
    openTransport({ chain_id: "", name: "", adapter: "", rpc_url, settings } as never);
  const good = "https://node.example/key";
  const bad: Record<string, () => unknown> = {
    "rpc_url must be an http or https URL": open(""),
    "fallback_rpc_urls[1] must be an http or https URL": open(good, {
      fallback_rpc_urls: [good, "wss://node.example"],
    }),
    'rpc_headers: the secret of header "X-Key" does not exist in Vault': open(good, {
      rpc_headers: { "X-Key": null },
    }),
    'rpc_headers: header "X-Key" has a name or value that HTTP does not allow': open(good, {
      rpc_headers: { "X-Key": "canary\nkey" },
    }),
    "request_timeout_ms must be a positive integer": open(good, { request_timeout_ms: 0 }),
    "max_parallel_requests must be a positive integer": open(good, { max_parallel_requests: 1.5 }),
  };
  for (const [message, attempt] of Object.entries(bad)) {
    const failure = assertThrows(attempt, ChainFailure) as ChainFailure;
    assertEquals([failure.code, failure.message], ["invalid_chain_settings", message]);
  }
  for (const rpcUrl of [null, undefined, 5, "node.example", "file:///etc/passwd", "http://"]) {
    assertThrows(open(rpcUrl), ChainFailure);
  }
  open(good, { request_timeout_ms: 1, fallback_rpc_urls: null, rpc_headers: null })();
});
