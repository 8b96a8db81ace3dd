import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Refusal } from "../../functions/balance-sync/answer.ts";
import {
  acceptsNdjson,
  prefersAsync,
  readRunId,
  readSyncRequest,
} from "../../functions/balance-sync/request.ts";

const id = "0b9c4f6e-8d0a-4f1e-9a51-2f1f1d6f0a01";

function post(body: BodyInit | null, headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/", { method: "POST", body, headers });
}

async function refusal(body: unknown): Promise<string> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const refused = await assertRejects(() => readSyncRequest(post(text)), Refusal);
  assertEquals([refused.status, refused.code], [400, "invalid_request"]);
  return refused.message;
}

Deno.test("no body asks for the rows that are due", async () => {
  const due = { only: {}, batchSize: null, maxBatches: Infinity, dryRun: false };
  for (const body of [null, "", " \n", "{}"]) {
    assertEquals(await readSyncRequest(post(body)), due);
  }
});

Deno.test("every key is taken over, whatever the Content-Type says", async () => {
  const body = JSON.stringify({
    wallet_balance_ids: [id],
    wallet_ids: [id.toUpperCase()],
    chain: "bsc",
    batch_size: 1000,
    max_batches: 1,
    dry_run: true,
  });
  for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"]) {
    assertEquals(await readSyncRequest(post(body, { "content-type": type })), {
      only: { wallet_balance_ids: [id], wallet_ids: [id.toUpperCase()], chain: "bsc" },
      batchSize: 1000,
      maxBatches: 1,
      dryRun: true,
    });
  }
});

Deno.test("text that is no JSON object is refused", async () => {
  for (const text of ["{", "balance", "null", "[]", "7", '"{}"', "{}{}"]) {
    assertStringIncludes(await refusal(text), "expected a JSON object", text);
  }
});

Deno.test("bytes that are no UTF-8 are refused", async () => {
  await assertRejects(
    () => readSyncRequest(post(new Uint8Array([0x22, 0xff, 0x22]))),
    Refusal,
    "UTF-8",
  );
});

Deno.test("an unknown key is refused by name", async () => {
  assertStringIncludes(await refusal({ batchsize: 5 }), '"batchsize"');
  assertStringIncludes(await refusal({ __proto__x: 5 }), '"__proto__x"');
  assertStringIncludes(await refusal('{"__proto__": {}}'), '"__proto__"');
  assertStringIncludes(await refusal({ toString: 5 }), '"toString"');
});

Deno.test("a value of the wrong type is refused with its key, what was expected and what was found", async () => {
  assertEquals(
    await refusal({ batch_size: "50" }),
    'Cannot read the request: batch_size must be an integer from 1 to 1000, found "50"',
  );
  for (const value of [0, -1, 1.5, 1e9, 1001, "50", true, null, [5]]) {
    assertStringIncludes(await refusal({ batch_size: value }), "batch_size must be");
  }
  for (const value of [0, -1, 1.5, "1", null, 2 ** 53]) {
    assertStringIncludes(await refusal({ max_batches: value }), "max_batches must be");
  }
  for (const value of ["true", 1, null]) {
    assertStringIncludes(await refusal({ dry_run: value }), "dry_run must be");
  }
  for (const value of ["", " ", 56, null, ["bsc"]]) {
    assertStringIncludes(await refusal({ chain: value }), "chain must be");
  }
  for (const key of ["wallet_balance_ids", "wallet_ids"]) {
    for (const value of [id, [7], ["x"], [null], [[id]], [`${id}0`], {}, null]) {
      assertStringIncludes(await refusal({ [key]: value }), `${key} must be`);
    }
  }
});

Deno.test("1000 ids are taken, 1001 are refused", async () => {
  const { only } = await readSyncRequest(
    post(JSON.stringify({ wallet_ids: Array(1000).fill(id) })),
  );
  assertEquals(only.wallet_ids?.length, 1000);
  assertStringIncludes(await refusal({ wallet_ids: Array(1001).fill(id) }), "an array of 1001");
});

Deno.test("a body of 64 KiB is read, one byte more is refused", async () => {
  const limit = 64 * 1024;
  assertEquals((await readSyncRequest(post("{}".padEnd(limit)))).only, {});
  assertStringIncludes(await refusal("{}".padEnd(limit + 1)), "at most 65536 bytes");
});

Deno.test("an endless body is read no further than the limit", async () => {
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(16 * 1024).fill(0x20));
    },
  });
  await assertRejects(() => readSyncRequest(post(endless)), Refusal, "at most 65536 bytes");
  assertEquals(pulled < 10, true);
});

Deno.test("a refusal quotes no more than 80 characters of what was sent", async () => {
  const message = await refusal({ batch_size: "x".repeat(1000) });
  assertEquals(message.length < 200, true);
});

Deno.test("the dispatcher's run id is used, without one a new one is made", () => {
  const given = new Request("http://localhost/", { headers: { "x-balance-sync-run": id } });
  assertEquals(readRunId(given), id);
  const made = new Set([readRunId(post(null)), readRunId(post(null))]);
  assertEquals(made.size, 2);
});

Deno.test("respond-async is heard among other preferences, and nothing like it", () => {
  for (const prefer of ["respond-async", "wait=5, Respond-Async", "respond-async; x=1"]) {
    assertEquals(prefersAsync(post(null, { prefer })), true, prefer);
  }
  for (const prefer of ["respond-asynchronously", "return=minimal", "x=respond-async"]) {
    assertEquals(prefersAsync(post(null, { prefer })), false, prefer);
  }
});

Deno.test("NDJSON is answered to those who name it", () => {
  for (const accept of ["application/x-ndjson", "application/json, application/x-ndjson;q=0.9"]) {
    assertEquals(acceptsNdjson(post(null, { accept })), true, accept);
  }
  for (const accept of ["*/*", "application/json", "application/x-ndjsonx"]) {
    assertEquals(acceptsNdjson(post(null, { accept })), false, accept);
  }
});
