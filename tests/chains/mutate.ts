/** Ways to spoil a node's true answer, chosen by a seed. */
import { type Behaviour, dripping } from "./proxy.ts";
import type { Random } from "./random.ts";

/** The true body of this answer, and of one to another question. */
type Mutation = (body: string, other: string, random: Random) => string | Response;

/** Changes that no reader can take for an answer: they break the envelope, or replace what is in it. */
const structural: Record<string, Mutation> = {
  "cut short": (body, _, { below }) => body.slice(0, below(body.length)),
  "wrong id": (body, _, { pick }) =>
    body.replace(/"id":\d+/g, `"id":${pick(["0", "null", '"1"', "-1", "1e999"])}`),
  "wrong type": (body, _, { pick }) => replaceResult(body, pick(wrongTypes)),
  "deep JSON": (body, _, { pick }) =>
    replaceResult(body, pick(["[", '{"a":']).repeat(100_000) + pick(["", "1"])),
  "huge number": (body, _, { pick }) =>
    replaceResult(body, pick(["9".repeat(5000), "1e400", "-1"])),
  "trailing bytes": (body, _, { pick }) => body + pick(["}", "null", "\u0000", body]),
  "an error": (_body, _, { pick }) =>
    Response.json({
      jsonrpc: "2.0",
      id: pick([null, 1]),
      error: pick([{ code: pick(errorCodes), message: pick(errorWords) }, "no", null, 5, []]),
    }),
  "an error of java-tron": (_body, _, { pick }) =>
    Response.json(pick([
      { Error: pick(errorWords) },
      { result: { code: "OTHER_ERROR", message: "6e6f" } },
      { result: { result: true } },
      { result: { result: true }, constant_result: [""], transaction: { ret: [{}] } },
    ])),
  "another status": (body, _, { pick }) => new Response(body, { status: pick(statuses) }),
  "empty or HTML": (_body, _, { pick }) => pick(["", " ", "{}", "[]", "null", "<html></html>"]),
  "bytes that are no text": () => new Response(new Uint8Array([123, 34, 255, 254, 34])),
  "closed early": () => Response.error(),
};

/** Changes within the answer, which may leave it well-formed. */
const altering: Record<string, Mutation> = {
  "a bit flipped": (body, _, random) => flip(body, 1, random),
  "bits flipped": (body, _, random) => flip(body, 2 + random.below(20), random),
  "a hex digit changed": (body, _, { below, pick }) => {
    const at = body.search(/[0-9a-f]{64}/) + below(body.length);
    return body.slice(0, at) + pick([..."0123456789abcdef"]) + body.slice(at + 1);
  },
  "words swapped": (body, _, { below }) => {
    const words = body.match(/[0-9a-f]{64}/g) ?? [];
    const [a, b] = [words[below(words.length)] ?? "", words[below(words.length)] ?? ""];
    return body.replaceAll(a, "#").replaceAll(b, a).replaceAll("#", b);
  },
  "a piece lost": (body, _, { below }) => {
    const at = below(body.length);
    return body.slice(0, at) + body.slice(at + 1 + below(100));
  },
  "a piece twice": (body, _, { below }) => {
    const at = below(body.length);
    return body.slice(0, at) + body.slice(Math.max(0, at - below(100)));
  },
  "the answer to another question": (body, other) => {
    const id = /"id":\d+/.exec(body)?.[0];
    return id ? other.replace(/"id":\d+/, id) : other;
  },
};

/** What is mutated in one case, and how: every answer, or only some of the first few. */
export interface Case {
  name: string;
  timeoutMs: number;
  behaviour: Behaviour;
}

const slowDrip = "slow drip";

/** A case for each seed. `proven` answers carry a digest, so that they may be altered in any way. */
export function fuzzCase(random: Random, proven: boolean): Case {
  const mutations = { ...structural, ...proven ? altering : {} };
  const name = random.pick([...Object.keys(mutations), slowDrip]);
  const mutate = mutations[name];
  const which = random.pick(["all", "first", "some"] as const);
  let count = 0;
  let other = "{}";
  return {
    name: `${name}, ${which}`,
    timeoutMs: name === slowDrip ? 100 : 1000,
    async behaviour({ forward, closed }) {
      const body = await (await forward()).text();
      const spoilt = which === "all" || which === "first" && count === 0 ||
        which === "some" && random.below(2) === 0;
      count++;
      if (spoilt && !mutate) return new Response(dripping([...body], closed));
      const answer = spoilt && mutate ? mutate(body, other, random) : body;
      other = body;
      return typeof answer === "string" ? new Response(answer) : answer;
    },
  };
}

function replaceResult(body: string, value: string): string {
  return body.replace(
    /("result"|"constant_result"|"balance"):("[^"]*"|\[[^\]]*\]|\{[^}]*\}|\d+)/g,
    `$1:${value}`,
  );
}

function flip(body: string, bits: number, { below }: Random): string {
  const bytes = new TextEncoder().encode(body);
  for (; bits > 0 && bytes.length > 0; bits--) bytes[below(bytes.length)]! ^= 1 << below(8);
  return new TextDecoder().decode(bytes);
}

const wrongTypes = [
  "null",
  "true",
  "5",
  "[]",
  "{}",
  '""',
  '"0x"',
  '"0"',
  '"0x0g"',
  '"0x1"',
  '["0x"]',
  "[null]",
  '[""]',
  '{"result":true}',
  "0.5",
];
const errorCodes = [-32000, -32005, -32601, -32602, -32603, 3, 429, 0, 1e99, "x"];
const errorWords = [
  "header not found",
  "out of gas",
  "execution reverted",
  "internal",
  "",
  "quota",
];
const statuses = [201, 301, 400, 401, 403, 404, 413, 418, 500, 502, 503];
