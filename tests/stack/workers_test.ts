/** The stand-ins of pg_net's and pg_cron's workers do what the real ones do. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { openDatabase, type Sql } from "../../local/database.ts";
import { createTicker } from "../../local/pg_cron.ts";
import { sendQueuedRequests } from "../../local/pg_net.ts";
import { LOCAL_KEYS } from "../../local/stack.ts";

const never = new AbortController().signal;

Deno.test("pg_net's stand-in", async (test) => {
  await using database = await openDatabase(LOCAL_KEYS);
  const { sql } = database;
  const seen: { method: string; headers: Headers; body: string }[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      seen.push({ method: request.method, headers: request.headers, body: await request.text() });
      if (pathname === "/slow") await new Promise((resolve) => setTimeout(resolve, 300));
      if (pathname === "/redirect") return Response.redirect(new URL("/elsewhere", request.url));
      return new Response("taken", { status: 202, headers: { "x-answer": "42" } });
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const post = async (path: string, timeoutMs = 5000) => {
    const [row] = await sql<{ id: string }>(
      `select net.http_post(
         url => $1, body => '{"a": 1}', headers => '{"x-secret": "s"}', timeout_milliseconds => $2
       )::text as id`,
      [path, timeoutMs],
    );
    return row!.id;
  };
  const answerTo = async (id: string) => {
    const [row] = await sql(
      `select status_code, content, headers ->> 'x-answer' as answer, timed_out, error_msg
       from net._http_response where id = $1::text::bigint`,
      [id],
    );
    return row;
  };

  await test.step("sends nothing when nothing is queued", async () => {
    await sendQueuedRequests(sql, never);
    assertEquals(seen.length, 0);
  });

  await test.step("sends a request once and stores its answer", async () => {
    const id = await post(`${url}/once`);
    await sendQueuedRequests(sql, never);
    await sendQueuedRequests(sql, never);
    assertEquals(seen.length, 1);
    const [{ method, headers, body } = seen[0]!] = seen;
    assertEquals([method, headers.get("x-secret"), JSON.parse(body)], ["POST", "s", { a: 1 }]);
    assertEquals(headers.get("content-type"), "application/json");
    assertEquals(await answerTo(id), {
      status_code: 202,
      content: "taken",
      answer: "42",
      timed_out: false,
      error_msg: null,
    });
  });

  await test.step("sends nothing that was rolled back", async () => {
    seen.length = 0;
    await sql(
      `do $$ begin
         perform net.http_post(url => '${url}/rolled-back');
         raise exception 'undone';
       end $$`,
    ).catch(() => {});
    await sendQueuedRequests(sql, never);
    assertEquals(seen.length, 0);
  });

  await test.step("gives up when the time is out, and no earlier", async () => {
    const [late, early] = [await post(`${url}/slow`, 50), await post(`${url}/slow`, 5000)];
    await sendQueuedRequests(sql, never);
    const { status_code, timed_out, error_msg } = (await answerTo(late))!;
    assertEquals([status_code, timed_out, error_msg], [null, true, "Timeout of 50 ms reached"]);
    assertEquals((await answerTo(early))?.status_code, 202);
  });

  await test.step("stores why nobody answered", async () => {
    const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    closed.close();
    const id = await post(`http://127.0.0.1:${closed.addr.port}`);
    await sendQueuedRequests(sql, never);
    const { status_code, timed_out, error_msg } = (await answerTo(id))!;
    assertEquals([status_code, timed_out], [null, false]);
    assertStringIncludes(String(error_msg), "refused");
  });

  await test.step("follows no redirect", async () => {
    seen.length = 0;
    const id = await post(`${url}/redirect`);
    await sendQueuedRequests(sql, never);
    assertEquals(seen.length, 1);
    assertEquals((await answerTo(id))?.status_code, 302);
  });

  await server.shutdown();
});

Deno.test("pg_cron's stand-in", async (test) => {
  await using database = await openDatabase(LOCAL_KEYS);
  const { sql } = database;
  await sql("create table public.ticks (job text)");
  await sql(
    "select cron.schedule('each half minute', '30 seconds', $$insert into public.ticks values ('30')$$)",
  );
  const tick = createTicker(sql);
  const start = Date.now();

  await test.step("a job is first due its interval after it was seen", async () => {
    await tick(start);
    await tick(start + 29_999);
    assertEquals(await countTicks(sql), 0);
    await tick(start + 30_000);
    assertEquals(await countTicks(sql), 1);
  });

  await test.step("then each interval, once", async () => {
    await tick(start + 30_001);
    await tick(start + 59_999);
    assertEquals(await countTicks(sql), 1);
    await tick(start + 60_000);
    assertEquals(await countTicks(sql), 2);
  });

  await test.step("a paused job waits, and goes on when it is resumed", async () => {
    await sql("update cron.job set active = false");
    await tick(start + 90_000);
    assertEquals(await countTicks(sql), 2);
    await sql("update cron.job set active = true");
    await tick(start + 90_500);
    assertEquals(await countTicks(sql), 3);
  });

  await test.step("a job that fails is noted with its error, and the others run", async () => {
    await sql("select cron.schedule('broken', '1 second', 'select 1 / 0')");
    await tick(start + 100_000);
    await tick(start + 120_500);
    const details = await sql(
      `select d.status, d.return_message from cron.job_run_details as d
       join cron.job as j using (jobid) where j.jobname = 'broken'`,
    );
    assertEquals(details, [{ status: "failed", return_message: "division by zero" }]);
    assertEquals(await countTicks(sql), 4);
  });

  await test.step("an unscheduled job is gone", async () => {
    await sql("select cron.unschedule('each half minute')");
    await tick(start + 1_000_000);
    assertEquals(await countTicks(sql), 4);
  });
});

async function countTicks(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }>("select count(*)::integer as count from public.ticks");
  return row!.count;
}
