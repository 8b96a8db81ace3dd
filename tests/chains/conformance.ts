import { assert, assertEquals, assertLess } from "@std/assert";
import type {
  ErrorCode,
  ReadError,
  ReadResult,
  WalletBalance,
} from "../../functions/balance-sync/chains/adapter.ts";
import { failures } from "./proxy.ts";
import type { BadToken, World } from "./world.ts";

/**
 * What every chain family must do, whatever its nodes speak. A family's own test file calls this with
 * its {@link World}; nothing here knows one chain from another.
 */
export function conformance(family: string, start: () => Promise<World>) {
  Deno.test(`every chain family: ${family}`, async (t) => {
    await using world = await start();
    for (const [fact, test] of Object.entries(cases)) {
      await t.step(fact, async (step) => {
        world.proxy.behave();
        await test(world, step);
      });
    }
  });
}

const never = new AbortController().signal;

const cases: Record<string, (world: World, t: Deno.TestContext) => Promise<void>> = {
  async "no rows: no results and no request"(world) {
    const reader = await world.open();
    assertEquals(await reader.read([], never), []);
    assertEquals(reader.rpcCalls, 0);
  },

  async "native balances are exact"(world) {
    const amounts = [0n, 1n, 2n ** 53n - 1n, 2n ** 53n + 1n, world.maxNative];
    const rows = await Promise.all(amounts.map(async (raw) => native(await world.wallet(raw))));
    const results = await (await world.open()).read(rows, never);
    assertEquals(rows.map((row) => valueOf(results, row)), amounts);
  },

  async "token balances are exact"(world) {
    const amounts = [0n, 1n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 128n, 2n ** 256n - 1n];
    const holdings = await Promise.all(
      amounts.map(async (raw) => [await world.wallet(), raw] as [string, bigint]),
    );
    const contract = await world.token(holdings);
    const rows = holdings.map(([wallet]) => token(wallet, contract));
    const results = await (await world.open()).read(rows, never);
    assertEquals(rows.map((row) => valueOf(results, row)), amounts);
  },

  async "an account that never was has zero of everything"(world) {
    const wallet = await world.wallet();
    const rows = [native(wallet), token(wallet, await world.token([]))];
    const results = await (await world.open()).read(rows, never);
    assertEquals(rows.map((row) => valueOf(results, row)), [0n, 0n]);
  },

  async "each row has exactly one result, native and tokens mixed"(world) {
    const wallet = await world.wallet(7n);
    const [one, two] = [await world.token([[wallet, 1n]]), await world.token([[wallet, 2n]])];
    const rows = [token(wallet, two), native(wallet), token(wallet, one), native(wallet)];
    const results = await (await world.open()).read(rows, never);
    assertEquals(results.map(({ id }) => id).sort(), rows.map(({ id }) => id).sort());
    assertEquals(rows.map((row) => valueOf(results, row)), [2n, 7n, 1n, 7n]);
  },

  async "one address in many rows and spellings is one account"(world) {
    const wallet = await world.wallet(5n);
    const contract = await world.token([[wallet, 6n]]);
    const spellings = [wallet, wallet, ...world.spellings(wallet)];
    const rows = spellings.flatMap((spelling) => [native(spelling), token(spelling, contract)]);
    rows.push(...world.spellings(contract).map((spelling) => token(wallet, spelling)));
    const results = await (await world.open()).read(rows, never);
    for (const row of rows) assertEquals(valueOf(results, row), row.is_native ? 5n : 6n);
  },

  async "two reads at once do not mix"(world) {
    const [a, b] = [await world.wallet(11n), await world.wallet(12n)];
    const reader = await world.open();
    const rows = [native(a), native(b)];
    const [first, second] = await Promise.all(rows.map((row) => reader.read([row], never)));
    assertEquals([valueOf(first!, rows[0]!), valueOf(second!, rows[1]!)], [11n, 12n]);
  },

  async "1,000 rows are exact and take few requests"(world) {
    const holdings = Array.from({ length: 20 }, (_, i): [Promise<string>, bigint] => [
      world.wallet(BigInt(i)),
      BigInt(i) * 10n ** 20n,
    ]);
    const wallets = await Promise.all(holdings.map(([wallet]) => wallet));
    const amounts = wallets.map((wallet, i): [string, bigint] => [wallet, holdings[i]![1]]);
    const tokens = [await world.token(amounts), await world.token(amounts)];
    const rows = Array.from({ length: 1000 }, (_, i) => {
      const wallet = wallets[i % 20]!;
      return i % 3 === 0 ? native(wallet) : token(wallet, tokens[i % 3 - 1]!);
    });
    const reader = await world.open();
    const results = await reader.read(rows, never);
    assertEquals(results.length, 1000);
    rows.forEach((row, i) => {
      const expected = row.is_native ? BigInt(i % 20) : holdings[i % 20]![1];
      assertEquals(valueOf(results, row), expected, `row ${i}`);
    });
    assertLess(reader.rpcCalls, world.requestsFor1000Rows ?? 100);
  },

  async "what is no address is refused without a request"(world) {
    const wallet = await world.wallet(1n);
    const bad = [
      ...world.notAddresses.map(native),
      ...world.notAddresses.filter((text) => text !== "").map((text) => token(wallet, text)),
      ...world.notContracts.map((text) => token(wallet, text)),
    ];
    const reader = await world.open();
    const results = await reader.read(bad, never);
    for (const row of bad) {
      assertEquals(codeOf(results, row), "invalid_address", row.contract_address ?? row.address);
    }
    assertEquals(reader.rpcCalls, 0);
    const good = native(wallet);
    assertEquals(valueOf(await reader.read([...bad, good], never), good), 1n);
  },

  async "rows that no chain can answer are refused, their neighbours are read"(world) {
    const wallet = await world.wallet(3n);
    const contract = await world.token([[wallet, 4n]]);
    const decimals = [null, -1, 1.5, 78, NaN].map((decimals) => ({ ...native(wallet), decimals }));
    const missing = [null, ""].map((contract_address) => ({
      ...token(wallet, contract),
      contract_address,
    }));
    const good = [0, 77].map((decimals) => ({ ...token(wallet, contract), decimals }));
    const reader = await world.open();
    const results = await reader.read([...decimals, ...missing, ...good], never);
    for (const row of decimals) assertEquals(codeOf(results, row), "invalid_decimals");
    for (const row of missing) assertEquals(codeOf(results, row), "missing_contract_address");
    for (const row of good) assertEquals(valueOf(results, row), 4n);
  },

  async "a bad token is its own error and its neighbours keep their values"(world, t) {
    const wallet = await world.wallet(123n);
    const good = await world.token([[wallet, 1_234_567n]]);
    const bad: [BadToken, WalletBalance][] = [];
    for (const kind of Object.keys(codesOfBadTokens) as BadToken[]) {
      const contract = await world.badToken(kind, good);
      if (contract !== undefined) bad.push([kind, token(wallet, contract)]);
    }
    const neighbours = [native(wallet), token(wallet, good)];
    const judge = (results: ReadResult[], kind: BadToken, row: WalletBalance) => {
      assertEquals(valueOf(results, neighbours[0]!), 123n, `native beside ${kind}`);
      assertEquals(valueOf(results, neighbours[1]!), 1_234_567n, `token beside ${kind}`);
      const code = codeOf(results, row);
      // It may also be read as what it says it holds, which concerns nobody else.
      if (kind === "contaminates" && code === undefined) assertEquals(valueOf(results, row), 1n);
      else assert(code && codesOfBadTokens[kind].includes(code), `${kind} ended as ${code}`);
    };
    for (const [kind, row] of bad) {
      await t.step(`alone: ${kind}`, async () => {
        const rows = [row, ...neighbours, native(wallet), token(wallet, good)];
        judge(await (await world.open()).read(rows, never), kind, row);
      });
    }
    await t.step("all at once, and again in the same run", async () => {
      const reader = await world.open();
      const rows = [...bad.map(([, row]) => row), ...neighbours];
      for (let batch = 0; batch < 2; batch++) {
        const results = await reader.read(rows, never);
        for (const [kind, row] of bad) judge(results, kind, row);
      }
    });
  },

  async "a node's failure is the error of every row, and never a value"(world, t) {
    const wallet = await world.wallet(9n);
    const rows = [native(wallet), token(wallet, await world.token([[wallet, 9n]]))];
    const ways = { ...failures, ...world.rateLimits };
    for (const [way, behaviour] of Object.entries(ways)) {
      await t.step(way, async () => {
        const expected = codesOfFailures[way as keyof typeof failures] ?? "rpc_rate_limited";
        // Five megabytes of nonsense take longer than that to arrive on a busy machine.
        const patience = expected === "rpc_bad_response" ? 5_000 : 150;
        const reader = await world.open({ request_timeout_ms: patience });
        world.proxy.behave(behaviour);
        const results = await reader.read(rows, never);
        for (const row of rows) {
          assertEquals(errorOf(results, row)?.code, expected);
          assertEquals(errorOf(results, row)?.scope, "chain");
        }
        world.proxy.behave();
      });
    }
  },

  async "a node of another chain is refused"(world) {
    if (world.otherChain === undefined) return;
    const row = native(await world.wallet(1n));
    const reader = await world.open(world.otherChain);
    const results = await reader.read([row], never);
    assertEquals(errorOf(results, row)?.code, "wrong_chain");
    assertEquals(errorOf(results, row)?.scope, "chain");
    const before = reader.rpcCalls;
    assertEquals(codeOf(await reader.read([row], never), row), "wrong_chain");
    assertEquals(reader.rpcCalls, before, "a node that is out is not asked again");
  },

  async "a rate limit that asks for long silence ends the chain for the run"(world) {
    const row = native(await world.wallet(1n));
    const reader = await world.open();
    world.proxy.behave(failures.rateLimited);
    assertEquals(codeOf(await reader.read([row], never), row), "rpc_rate_limited");
    assertEquals(reader.rpcCalls, 1);
    world.proxy.behave();
    assertEquals(codeOf(await reader.read([row], never), row), "rpc_rate_limited");
    assertEquals(reader.rpcCalls, 1);
  },

  async "what broke once on its way is asked again"(world) {
    const row = native(await world.wallet(21n));
    const reader = await world.open();
    let broken = 0;
    world.proxy.behave(({ forward }) => broken++ === 0 ? failures.broken() : forward());
    assertEquals(valueOf(await reader.read([row], never), row), 21n);
  },

  async "a fallback answers when the first endpoint does not"(world, t) {
    const row = native(await world.wallet(22n));
    const good = world.chain.rpc_url;
    const deadEnds = { "nobody listens": closedPort(), "it answers HTML": `${good}/%66allen` };
    for (const [why, dead] of Object.entries(deadEnds)) {
      await t.step(why, async () => {
        world.proxy.behave(({ request, forward }) =>
          request.url.includes("%66allen") ? failures.html() : forward()
        );
        const reader = await world.open({ fallback_rpc_urls: [good] }, dead);
        assertEquals(valueOf(await reader.read([row], never), row), 22n);
        world.proxy.behave();
      });
    }
  },

  async "a stopped run ends what was not read as aborted"(world) {
    const row = native(await world.wallet(1n));
    const reader = await world.open();
    const stopped = AbortSignal.abort();
    assertEquals(codeOf(await reader.read([row], stopped), row), "aborted");
    assertEquals(reader.rpcCalls, 0);
    const stop = new AbortController();
    world.proxy.behave((exchange) => {
      queueMicrotask(() => stop.abort());
      return failures.hang(exchange);
    });
    assertEquals(codeOf(await reader.read([row], stop.signal), row), "aborted");
    world.proxy.behave();
    assertEquals(valueOf(await reader.read([row], never), row), 1n);
  },

  async "no failure shows the key in the URL or in a header"(world, t) {
    const wallet = await world.wallet(1n);
    const contract = await world.badToken("reverts");
    const rows = [native(wallet), ...contract ? [token(wallet, contract)] : []];
    const url = world.chain.rpc_url.replace("http://", "http://canaryUser:canaryPass@");
    const rpcUrl = `${url}/v2/canaryPathKey/?apikey=canaryQueryKey`;
    const headers = { "x-api-key": "canaryHeaderKey", authorization: "Bearer canaryBearerKey" };
    const ways = { ...failures, ...world.rateLimits };
    for (const [way, behaviour] of Object.entries(ways)) {
      await t.step(way, async () => {
        world.proxy.behave(behaviour);
        const settings = { request_timeout_ms: 100, rpc_headers: headers };
        const reader = await world.open(settings, rpcUrl);
        const results = await reader.read(rows, never);
        const written = JSON.stringify(results, (_, value) =>
          typeof value === "bigint" ? `${value}` : value) + Deno.inspect(results, { depth: 9 });
        assert(!/canary/i.test(written), written);
        world.proxy.behave();
      });
    }
  },
};

const codesOfBadTokens: Record<BadToken, ErrorCode[]> = {
  reverts: ["call_reverted"],
  "no code": ["no_contract"],
  "returns nothing": ["bad_token_response"],
  "returns 16 bytes": ["bad_token_response"],
  "returns 64 bytes": ["bad_token_response"],
  "invalid opcode": ["out_of_gas", "call_reverted"],
  "burns gas": ["out_of_gas"],
  "returns 2 MB": ["out_of_gas", "bad_token_response", "rpc_bad_response"],
  "reverts with 100 KB": ["call_reverted", "out_of_gas"],
  contaminates: ["out_of_gas", "call_reverted"],
};

const codesOfFailures: Record<keyof typeof failures, ErrorCode> = {
  html: "rpc_bad_response",
  empty: "rpc_bad_response",
  notFound: "rpc_bad_response",
  unauthorized: "rpc_unauthorized",
  broken: "rpc_unreachable",
  rateLimited: "rpc_rate_limited",
  redirect: "rpc_bad_response",
  huge: "rpc_bad_response",
  hang: "rpc_timeout",
  drip: "rpc_timeout",
  cut: "rpc_bad_response",
  reset: "rpc_unreachable",
};

/** A URL at which nobody listens. */
function closedPort(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  return url;
}

export function native(address: string): WalletBalance {
  return {
    id: crypto.randomUUID(),
    address,
    asset_id: crypto.randomUUID(),
    is_native: true,
    contract_address: null,
    decimals: 18,
  };
}

export function token(address: string, contract_address: string): WalletBalance {
  return { ...native(address), is_native: false, contract_address };
}

/** The row's balance; throws when it ended as an error. */
export function valueOf(results: ReadResult[], row: WalletBalance): bigint {
  const result = resultOf(results, row);
  if ("error" in result) throw new Error(`expected a value: ${Deno.inspect(result)}`);
  return result.raw;
}

export function errorOf(results: ReadResult[], row: WalletBalance): ReadError | undefined {
  const result = resultOf(results, row);
  return "error" in result ? result.error : undefined;
}

export function codeOf(results: ReadResult[], row: WalletBalance): ErrorCode | undefined {
  return errorOf(results, row)?.code;
}

function resultOf(results: ReadResult[], { id }: WalletBalance): ReadResult {
  const found = results.filter((result) => result.id === id);
  if (found.length !== 1) throw new Error(`expected one result for the row: found ${found.length}`);
  return found[0]!;
}
