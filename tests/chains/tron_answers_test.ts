import { assert, assertEquals } from "@std/assert";
import type { ErrorCode } from "../../functions/balance-sync/chains/adapter.ts";
import { answerWith, type Failure, failures } from "../../local/tron_failures.ts";
import { codeOf, native, token, valueOf } from "./conformance.ts";
import { startTronWorld, type TronOptions, type TronWorld } from "./tron_world.ts";

const never = new AbortController().signal;

const routes: Record<string, TronOptions> = {
  "constructor code": {},
  Multicall3: { constructorCode: false },
  "one call at a time": { constructorCode: false, multicall3: false },
};

/** The true answer with its JSON changed, unless it is a refusal already. */
function changed(change: (answer: Json) => unknown): Failure {
  return async (answer) => {
    const value = JSON.parse(await (await answer()).text());
    return Response.json(value.result?.code === undefined ? change(value) ?? value : value);
  };
}

// deno-lint-ignore no-explicit-any
type Json = any;

/** What is not quite the answer to a constant call. */
const spoiltCalls: Record<string, Failure> = {
  "result.result is false": changed((answer) => void (answer.result.result = false)),
  "result.result is absent": changed((answer) => void delete answer.result.result),
  "a message beside the result": changed((answer) => void (answer.result.message = "6f6b")),
  "a message that is no hex": changed((answer) => void (answer.result.message = "ok")),
  "a failed transaction without a message": changed((answer) =>
    void (answer.transaction.ret = [{ ret: "FAILED" }])
  ),
  "no transaction": changed((answer) => void delete answer.transaction),
  "no constant_result": changed((answer) => void delete answer.constant_result),
  "an empty list of results": changed((answer) => void (answer.constant_result = [])),
  "two results": changed((answer) => void answer.constant_result.push("00")),
  "a number as result": changed((answer) => void (answer.constant_result = [7])),
  "half a byte": changed((answer) => void (answer.constant_result[0] += "0")),
  "one byte too many": changed((answer) => void (answer.constant_result[0] += "00")),
  "one word too many": changed((answer) => void (answer.constant_result[0] += "0".repeat(64))),
  "one byte too few": changed((answer) =>
    void (answer.constant_result[0] = answer.constant_result[0].slice(2))
  ),
  "result is a string": changed((answer) => void (answer.result = "true")),
  "an Error beside the result": changed((answer) => void (answer.Error = "trouble")),
  "a list around the answer": changed((answer) => [answer]),
};

/** What is not quite an account. */
const spoiltAccounts: Record<string, Failure> = {
  "the account of another address": changed((answer) =>
    void (answer.address = "41a614f803b6fd780986a42c78ec9c7f77e6ded13c")
  ),
  "no address": changed((answer) => void delete answer.address),
  "the balance as text": changed((answer) => void (answer.balance = "12")),
  "a negative balance": changed((answer) => void (answer.balance = -5)),
  "half a sun": changed((answer) => void (answer.balance = 1.5)),
  "null as balance": changed((answer) => void (answer.balance = null)),
  "an exponent": answerWith('{"address":"41","balance":9e15}'),
  "an Error": answerWith({
    Error: "class org.tron.core.services.http.JsonFormat$ParseException : 1:12: INVALID hex String",
  }),
  "null": answerWith("null"),
};

/** What a block that is none looks like. */
const spoiltBlocks: Record<string, Failure> = {
  "an id that belongs to another number": changed((answer) =>
    void (answer.block_header.raw_data.number += 1)
  ),
  "no header": changed((answer) => void delete answer.block_header),
  "no id": changed((answer) => void delete answer.blockID),
};

const codesOfFailures: Record<keyof typeof failures, ErrorCode> = {
  rateLimited200: "rpc_rate_limited",
  rateLimited403: "rpc_rate_limited",
  rateLimited429: "rpc_rate_limited",
  rateLimited503: "rpc_rate_limited",
  lackOfResources: "rpc_rate_limited",
  apiDisabled: "rpc_bad_response",
  liteNode: "rpc_bad_response",
  bodyTooLarge: "rpc_bad_response",
  noConstantCalls: "rpc_bad_response",
  cpuTimeout: "out_of_gas",
  outOfEnergy: "out_of_gas",
  html: "rpc_bad_response",
  empty: "rpc_bad_response",
  emptyArray: "rpc_bad_response",
  emptyObject: "rpc_bad_response",
  serverError: "rpc_unreachable",
  silence: "rpc_timeout",
};

for (const [route, options] of Object.entries(routes)) {
  Deno.test(`TRON by ${route}: a bad answer is never a balance`, async (t) => {
    await using world = await startTronWorld(options);
    const wallet = await world.wallet(5n);
    const rows = [native(wallet), token(wallet, await world.token([[wallet, 6n]]))];
    const byAccount = route === "one call at a time";
    const spoil = behind(world);

    /** What each row ended as: its code, or nothing, if it is the true balance. */
    const endings = async () => {
      const reader = await world.open({ request_timeout_ms: 400 });
      const results = await reader.read(rows, never);
      return rows.map((row, i) => {
        const code = codeOf(results, row);
        if (code === undefined) assertEquals(valueOf(results, row), [5n, 6n][i]);
        return code;
      });
    };

    for (const [name, spoilt] of Object.entries(spoiltCalls)) {
      await t.step(name, async () => {
        spoil(spoilt, "triggerconstantcontract");
        const [native, token] = await endings();
        // Read one by one, the native balance takes no call, and a long answer is the token's own.
        if (byAccount) assertOneOf(token, ["rpc_bad_response", "bad_token_response"]);
        else assertEquals([native, token], ["rpc_bad_response", "rpc_bad_response"]);
      });
    }
    for (const [name, failure] of Object.entries(failures)) {
      await t.step(`every call: ${name}`, async () => {
        spoil(failure, "triggerconstantcontract");
        const [, token] = await endings();
        assertOneOf(token, ["rpc_bad_response", codesOfFailures[name as keyof typeof failures]]);
      });
    }
    if (byAccount) {
      const spoiltAnswers = { getaccount: spoiltAccounts, getnowblock: spoiltBlocks };
      for (const [path, answers] of Object.entries(spoiltAnswers)) {
        for (const [name, spoilt] of Object.entries(answers)) {
          await t.step(`${path}: ${name}`, async () => {
            spoil(spoilt, path);
            assertEquals(await endings(), ["rpc_bad_response", "rpc_bad_response"]);
          });
        }
      }
      for (const [name, failure] of Object.entries(failures)) {
        if (name === "emptyObject") continue;
        await t.step(`getaccount: ${name}`, async () => {
          spoil(failure, "getaccount");
          const expected = codesOfFailures[name as keyof typeof failures];
          assertOneOf((await endings())[0], ["rpc_bad_response", expected]);
        });
      }
      await t.step("only {} says that there is no account", async () => {
        spoil(failures.emptyObject, "getaccount");
        const results = await (await world.open()).read(rows, never);
        assertEquals(rows.map((row) => valueOf(results, row)), [0n, 6n]);
      });
    }
    await t.step("and the true answer is one", async () => {
      spoil(undefined, "");
      assertEquals(await endings(), [undefined, undefined]);
    });
  });
}

function assertOneOf(found: ErrorCode | undefined, expected: ErrorCode[]) {
  assert(found && expected.includes(found), `expected one of ${expected}: found ${found}`);
}

/** Spoils answers at the proxy: at the node, the world may already refuse constructor code. */
function behind({ proxy }: TronWorld) {
  return (failure: Failure | undefined, on: string) =>
    proxy.behave(({ request, body, forward }) => {
      const { pathname } = new URL(request.url);
      return failure && pathname.includes(on)
        ? failure(forward, { path: pathname, body })
        : forward();
    });
}
