import { assertEquals, assertStringIncludes } from "@std/assert";
import { stripAnsiCode } from "@std/fmt/colors";
import { emptySummary } from "../../functions/balance-sync/run_summary.ts";
import { createProgressBar } from "../../local/progress_bar.ts";
import { readArguments } from "../../local/sync_arguments.ts";
import { assertAccounted, evmAddress, onProject, type Project, secretKey } from "./project.ts";

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `deno task sync` on this environment and nothing of ours. */
async function runTask(args: string[], env: Record<string, string>): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      new URL("../../local/sync.ts", import.meta.url).pathname,
      ...args,
    ],
    env: {
      NO_COLOR: "1",
      SUPABASE_URL: "",
      SUPABASE_SECRET_KEY: "",
      SUPABASE_SECRET_KEYS: "",
      SUPABASE_SERVICE_ROLE_KEY: "",
      ...env,
    },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** The project's function behind an address, as on the platform. */
async function sync(project: Project, args: string[], deadlineMs = 60_000): Promise<Ended> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    project.handler({ deadlineMs }),
  );
  try {
    return await runTask(args, {
      SUPABASE_URL: `http://127.0.0.1:${server.addr.port}/`,
      SUPABASE_SECRET_KEY: secretKey,
    });
  } finally {
    await server.shutdown();
  }
}

onProject("deno task sync", {
  async "with all recorded ends with 0, and piped it writes NDJSON"({ project, node }) {
    const chain = await project.addChain("ethereum", node.url);
    await project.addBalances(chain, [evmAddress(1), evmAddress(2), evmAddress(3)]);
    const { code, stdout, stderr } = await sync(project, ["--batch-size", "2"]);
    assertEquals([code, stderr], [0, ""]);
    const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(lines.map(({ event }) => event), [
      "claimed",
      "recorded",
      "claimed",
      "recorded",
      undefined,
    ]);
    assertAccounted(lines.at(-1));
    assertEquals(lines.at(-1).recorded, 3);
  },

  async "with a failed row ends with 1, a dry run too"({ project, node }) {
    const chain = await project.addChain("ethereum", node.url);
    await project.addBalances(chain, [evmAddress(1)], { contract: evmAddress(999) });
    assertEquals((await sync(project, ["--dry-run"])).code, 1);
    const { code, stdout } = await sync(project, []);
    assertEquals(code, 1);
    assertStringIncludes(stdout, '"no_contract"');
  },

  async "takes up where a run met its deadline, until no row is due"({ project, proxy }) {
    const chain = await project.addChain("ethereum", proxy.url);
    await project.addBalances(chain, [evmAddress(1)]);
    let asked = 0;
    proxy.behave(async ({ forward, closed }) => {
      if (++asked > 1) return await forward();
      return await new Promise<Response>((resolve) =>
        closed.addEventListener("abort", () => resolve(Response.error()))
      );
    });
    const { code, stdout } = await sync(project, [], 1000);
    const summaries = stdout.trimEnd().split("\n").map((line) => JSON.parse(line))
      .filter((line) => line.stopped_because);
    assertEquals(summaries.map(({ stopped_because }) => stopped_because), ["deadline", "drained"]);
    assertEquals([code, summaries[1].recorded], [0, 1]);
  },

  async "with nothing it could ask ends with 2 and says why"({ project }) {
    for (
      const [args, said] of [
        [["--chain", "nowhere"], 'no chain is named "nowhere"'],
        [["--batch-size", "0"], "batch_size must be an integer from 1 to 1000"],
        [["--wallet-id", "nobody"], "wallet_ids must be an array"],
        [["--batch-size", "many"], "Cannot read --batch-size"],
        [["--frob"], "--frob"],
      ] as const
    ) {
      const { code, stdout, stderr } = await sync(project, [...args]);
      assertEquals([code, stdout], [2, ""]);
      assertStringIncludes(stderr, said);
    }
  },

  async "without a project ends with 2 and says what it needs"() {
    const nothing = await runTask([], {});
    assertEquals([nothing.code, nothing.stdout], [2, ""]);
    assertStringIncludes(nothing.stderr, "SUPABASE_URL");

    const nobody = await runTask([], {
      SUPABASE_URL: "http://127.0.0.1:9",
      SUPABASE_SECRET_KEY: secretKey,
    });
    assertEquals(nobody.code, 2);
    assertStringIncludes(nobody.stderr, "Cannot sync: expected a project at http://127.0.0.1:9");
  },
});

Deno.test("with --local it syncs the demo's rows, of which some must fail", async () => {
  const { code, stdout } = await runTask(["--local"], { BALANCE_SYNC_DATABASE_URL: "" });
  const summary = JSON.parse(stdout.trimEnd().split("\n").at(-1)!);
  assertAccounted(summary);
  assertEquals([code, summary.stopped_because], [1, "drained"]);
  assertEquals(
    summary.chains.map(({ name }: { name: string }) => name).sort(),
    ["bsc", "ethereum", "tron"],
  );
});

Deno.test("every filter of the task becomes a key of the request", () => {
  const id = crypto.randomUUID();
  const args = `--chain bsc --wallet-id ${id} --wallet-id ${id} --wallet-balance-id ${id}
    --batch-size 5 --max-batches 2 --dry-run --local`.split(/\s+/);
  assertEquals(readArguments(args), {
    body: {
      chain: "bsc",
      wallet_ids: [id, id],
      wallet_balance_ids: [id],
      batch_size: 5,
      max_batches: 2,
      dry_run: true,
    },
    local: true,
    help: false,
  });
  assertEquals(readArguments([]), { body: {}, local: false, help: false });
});

Deno.test("the progress bar grows with the rows, names what failed and leaves the totals", () => {
  let written = "";
  const bar = createProgressBar(4, (text) => written += text);
  const shown = () => stripAnsiCode(written).split("\r").at(-1)!;
  const recorded = { recorded: 1, changed: 1, failed: 1, stale: 0, lost: 0, released: 0 };
  const error = { code: "call_reverted", message: "balanceOf reverted: paused" };

  bar.step({ event: "claimed", batch: 1, claimed: 2, chains: { bsc: 2 } });
  assertStringIncludes(shown(), "░".repeat(30) + " 0 of 4");
  bar.step({
    event: "recorded",
    batch: 1,
    ...recorded,
    failures: [{ id: "a-row", chain: "bsc", error }],
  });
  assertStringIncludes(
    stripAnsiCode(written),
    "call_reverted  bsc  a-row  balanceOf reverted: paused\n",
  );
  assertStringIncludes(shown(), "█".repeat(15) + "░".repeat(15) + " 2 of 4  1 failed");

  bar.end({ ...emptySummary("run"), ...recorded, batches: 1, stopped_because: "drained" });
  assertStringIncludes(shown(), "1 recorded (1 changed)  1 failed  1 batch in 0.0 s  drained\n");
});
