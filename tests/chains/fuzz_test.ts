/**
 * Whatever becomes of a node's answers on their way, every row ends as its true value or as an error.
 *
 * Answers to constructor code carry a digest of question and answer, so there anything may happen to
 * them: bits, words, pieces, an answer to another question. Multicall3 and plain reads have no such
 * proof: a digit changed inside a balance is well-formed, and no reader could tell. There the answers
 * are spoilt in every way that does not forge one.
 *
 * BALANCE_SYNC_FUZZ_CASES=100000 runs longer; BALANCE_SYNC_FUZZ_SEED chooses other cases.
 */
import { assert, assertGreater } from "@std/assert";
import type { WalletBalance } from "../../functions/balance-sync/chains/adapter.ts";
import { native, token } from "./conformance.ts";
import { startEvmWorld } from "./evm_world.ts";
import { fuzzCase } from "./mutate.ts";
import type { Behaviour } from "./proxy.ts";
import { random } from "./random.ts";
import { startTronWorld } from "./tron_world.ts";
import type { World } from "./world.ts";

const cases = Number(Deno.env.get("BALANCE_SYNC_FUZZ_CASES") ?? 2400);
const seed = Number(Deno.env.get("BALANCE_SYNC_FUZZ_SEED") ?? 1);

/** Longer than this is a hang: three request timeouts of 1 s, and a loaded machine. */
const limitMs = 10_000;

/** Cases under way at a time; most of their time is spent in pauses before a retry. */
const atOnce = 32;

const worlds: Record<string, { share: number; proven: boolean; start: () => Promise<World> }> = {
  "EVM": { share: 0.35, proven: true, start: startEvmWorld },
  "EVM through Multicall3": {
    share: 0.1,
    proven: false,
    start: () => startEvmWorld({ constructorCode: false }),
  },
  "EVM by plain JSON-RPC": {
    share: 0.1,
    proven: false,
    start: () => startEvmWorld({ constructorCode: false, multicall3: false }),
  },
  "TRON": { share: 0.3, proven: true, start: () => startTronWorld() },
  "TRON through Multicall3": {
    share: 0.15,
    proven: false,
    start: () => startTronWorld({ constructorCode: false }),
  },
};

for (const [name, { share, proven, start }] of Object.entries(worlds)) {
  const count = Math.ceil(cases * share);
  Deno.test(`${count} spoilt answers never become a false balance: ${name}`, async () => {
    await using world = await start();
    const expected = await balances(world);
    const behaviours = new Map<string, Behaviour>();
    world.proxy.behave((exchange) => {
      const behaviour = behaviours.get(exchange.request.headers.get("x-case") ?? "");
      return behaviour ? behaviour(exchange) : exchange.forward();
    });
    let values = 0, errors = 0;

    const run = async (id: number) => {
      const chosen = fuzzCase(random(seed * 1_000_003 + id), proven);
      behaviours.set(`${id}`, chosen.behaviour);
      const settings = {
        rpc_headers: { "x-case": `${id}` },
        request_timeout_ms: chosen.timeoutMs,
      };
      const what = `case ${id}: ${chosen.name}`;
      const reader = await world.open(settings);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const hang = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what} hangs`)), limitMs);
      });
      const read = reader.read([...expected.keys()], new AbortController().signal);
      const results = await Promise.race([read, hang]).finally(() => clearTimeout(timer));
      behaviours.delete(`${id}`);
      assert(results.length === expected.size, `${what}: ${results.length} results`);
      for (const result of results) {
        const [, raw] = [...expected].find(([row]) => row.id === result.id)!;
        if ("error" in result) {
          errors++;
          assert(result.error.code && result.error.message && result.error.scope, what);
        } else {
          values++;
          assert(result.raw === raw, `${what}: found ${result.raw}, true is ${raw}`);
        }
      }
    };

    const ids = Array.from({ length: count }, (_, id) => id);
    const workers = Array.from({ length: atOnce }, async () => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) await run(id);
    });
    await Promise.all(workers);
    // Both ends are met often, or this would prove nothing.
    assertGreater(values, count / 10);
    assertGreater(errors, count / 10);
  });
}

/** Rows of all kinds with their true values. */
async function balances(world: World): Promise<Map<WalletBalance, bigint>> {
  const wallets = [
    await world.wallet(0n),
    await world.wallet(2n ** 53n + 1n),
    await world.wallet(7n),
  ];
  const amounts = [2n ** 256n - 1n, 0n, 10n ** 18n];
  const contract = await world.token(wallets.map((wallet, i) => [wallet, amounts[i]!]));
  const other = await world.token([[wallets[0]!, 1n]]);
  return new Map([
    [native(wallets[0]!), 0n],
    [native(wallets[1]!), 2n ** 53n + 1n],
    [native(wallets[2]!), 7n],
    ...wallets.map((wallet, i) =>
      [token(wallet, contract), amounts[i]!] as [WalletBalance, bigint]
    ),
    [token(wallets[0]!, other), 1n],
    [token(wallets[1]!, other), 0n],
  ]);
}
