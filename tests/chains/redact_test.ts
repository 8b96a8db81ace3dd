import { assertEquals } from "@std/assert";
import { hide, redact } from "../../functions/balance-sync/redact.ts";

Deno.test("of a URL only scheme and host are shown", () => {
  const shown: Record<string, string> = {
    "https://node.example": "https://node.example",
    "https://node.example:8545/": "https://node.example:8545/[redacted]",
    "https://node.example/v2/key": "https://node.example/[redacted]",
    "https://node.example?apikey=key": "https://node.example/[redacted]",
    "wss://node.example/#key": "wss://node.example/[redacted]",
    "HTTP://user:pass@node.example/": "HTTP://node.example/[redacted]",
    "https://user@node.example": "https://node.example",
    "https://a:p@ss@node.example/x": "https://node.example/[redacted]",
    "postgresql://postgres:pass@db.example:5432/postgres":
      "postgresql://db.example:5432/[redacted]",
    'error (request="https://node.example/v2/key", code=429)':
      'error (request="https://node.example/[redacted]", code=429)',
    "https://node.example/a%20key https://other.example/b":
      "https://node.example/[redacted] https://other.example/[redacted]",
  };
  for (const [text, expected] of Object.entries(shown)) assertEquals(redact(text), expected);
});

Deno.test("header-like keys lose their value and keep their name", () => {
  const shown: Record<string, string> = {
    "TRON-PRO-API-KEY: 0123-4567": "TRON-PRO-API-KEY: [redacted]",
    '{"x-api-key":"abc","next":1}': '{"x-api-key":"[redacted]","next":1}',
    "authorization: Bearer abc.def": "authorization: [redacted]",
    "sent Bearer abcdefgh123 to it": "sent Bearer [redacted] to it",
    "x-balance-sync-secret=s3cret&a=1": "x-balance-sync-secret=[redacted]&a=1",
    "key sb_secret_abcdefghij here": "key [redacted] here",
    "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZSJ9.sig": "[redacted]",
  };
  for (const [text, expected] of Object.entries(shown)) assertEquals(redact(text), expected);
});

Deno.test("a secret it was told of is hidden in every spelling, the longer before the shorter", () => {
  hide("told/secret", "told/secret and more");
  assertEquals(redact("a told/secret b"), "a [redacted] b");
  assertEquals(redact("a told/secret and more b"), "a [redacted] b");
  assertEquals(redact("a told%2Fsecret b"), "a [redacted] b");
  hide('quo"ted-secret');
  assertEquals(redact(JSON.stringify({ note: 'quo"ted-secret' })), '{"note":"[redacted]"}');
});

Deno.test("what is short or plain stays readable", () => {
  hide("", "eth", undefined);
  const text =
    "eth: 12 rows, balanceOf reverted: paused, 0xdAC17F958D2ee523a2206206994597C13D831ec7";
  assertEquals(redact(text), text);
  assertEquals(redact(""), "");
});
