import { assertEquals } from "@std/assert";
import { authorize } from "../../functions/balance-sync/authorize.ts";

const secrets = ["current-secret", "previous-secret"];
const secretKeys = ["sb_secret_one", "eyJ.service.role"];

async function accepts(
  headers: Record<string, string>,
  callers = { secrets, secretKeys },
): Promise<boolean> {
  return await authorize(new Request("http://localhost/", { headers }), callers);
}

Deno.test("without a header nobody is let in", async () => {
  assertEquals(await accepts({}), false);
});

Deno.test("with no secret configured nobody is let in, not even with an empty one", async () => {
  const nobody = { secrets: [], secretKeys: [] };
  assertEquals(await accepts({ "x-balance-sync-secret": "" }, nobody), false);
  assertEquals(await accepts({ "x-balance-sync-secret": "undefined" }, nobody), false);
  assertEquals(await accepts({ apikey: "" }, nobody), false);
  assertEquals(await accepts({ authorization: "Bearer " }, nobody), false);
});

Deno.test("both secrets are accepted while one replaces the other", async () => {
  assertEquals(await accepts({ "x-balance-sync-secret": "current-secret" }), true);
  assertEquals(await accepts({ "x-balance-sync-secret": "previous-secret" }), true);
});

Deno.test("a secret that is nearly right is refused", async () => {
  for (
    const wrong of [
      "current-secre",
      "current-secret1",
      "Current-secret",
      "current-secret,previous-secret",
      "",
    ]
  ) {
    assertEquals(await accepts({ "x-balance-sync-secret": wrong }), false, wrong);
  }
});

Deno.test("a secret key opens as apikey and as bearer", async () => {
  assertEquals(await accepts({ apikey: "sb_secret_one" }), true);
  assertEquals(await accepts({ apikey: "eyJ.service.role" }), true);
  assertEquals(await accepts({ authorization: "Bearer sb_secret_one" }), true);
  assertEquals(await accepts({ authorization: "bearer eyJ.service.role" }), true);
});

Deno.test("a key opens only the header it belongs in", async () => {
  assertEquals(await accepts({ "x-balance-sync-secret": "sb_secret_one" }), false);
  assertEquals(await accepts({ apikey: "current-secret" }), false);
  assertEquals(await accepts({ authorization: "Bearer current-secret" }), false);
  assertEquals(await accepts({ authorization: "Basic sb_secret_one" }), false);
  assertEquals(await accepts({ authorization: "sb_secret_one" }), false);
});

Deno.test("one right credential is enough beside a wrong one", async () => {
  assertEquals(
    await accepts({ "x-balance-sync-secret": "wrong", apikey: "sb_secret_one" }),
    true,
  );
  assertEquals(
    await accepts({ apikey: "sb_publishable_x", authorization: "Bearer sb_secret_one" }),
    true,
  );
});
