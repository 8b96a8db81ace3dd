/** `deno task demo` and `deno task dev` as a newcomer runs them. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

const root = new URL("../../", import.meta.url);
const ignore = Deno.build.os === "windows";

Deno.test({
  name: "the demo ends well, says so, and leaves no process behind",
  ignore,
  async fn() {
    const task = start("demo");
    const exit = await task.exit;
    const told = task.told();
    assertEquals(exit, 0, told);
    assertStringIncludes(told, "18 rows: 12 synced, 3 failed, 3 rightly left alone");
    assertStringIncludes(told, "Every row ended as it should.");
    assertStringIncludes(told, "9007199254740993   0.009007199254740993");
    // there is no terminal, so no colour; deno's own line about the task aside
    // deno-lint-ignore no-control-regex
    assertEquals(told.split("\n").slice(1).filter((line) => /\x1b/.test(line)), []);
    assertEquals(await isGone(task.child), true);
  },
});

const portIsTaken = await isListening();
const taken = portIsTaken ? " (port 54321 is in use)" : "";

Deno.test({
  name: `dev serves on port 54321 until Ctrl-C, then ends with 0 and leaves nothing behind${taken}`,
  ignore: ignore || portIsTaken,
  async fn() {
    const task = start("dev");
    await task.says("Ctrl-C stops all of it");
    const second = start("dev");
    assertEquals(await second.exit, 1);
    assertStringIncludes(second.told(), "Cannot listen on port 54321: expected it to be free");

    const [, curl] = /curl -X POST (\S+) -H 'apikey: \S+'/.exec(task.told())!;
    const [, apikey] = /secret key +(\S+)/.exec(task.told())!;
    const headers = { apikey: apikey! };
    const run = await (await fetch(curl!, { method: "POST", headers })).json();
    assertEquals([run.recorded, run.failed], [12, 2]);
    await task.says("14 claimed, 12 recorded, 12 changed, 2 failed");
    const synced = await fetch(
      "http://127.0.0.1:54321/rest/v1/wallet_balances?select=id&sync_count=eq.1",
      { headers },
    );
    assertEquals((await synced.json()).length, 12);

    // what a terminal does: the signal goes to the whole group
    process.kill(-task.child.pid!, "SIGINT");
    assertEquals(await task.exit, 0, task.told());
    assertEquals(await isGone(task.child), true);
    assertEquals(await isListening(), false);
  },
});

interface Task {
  child: ChildProcess;
  exit: Promise<number | null>;
  told: () => string;
  says: (text: string) => Promise<void>;
}

/** Starts the task in a process group of its own. */
function start(task: string): Task {
  const child = spawn(Deno.execPath(), ["task", task], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = "";
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (chunk) => told += chunk);
  }
  let isOver = false;
  const exit = once(child, "close").then(([code]) => {
    isOver = true;
    return code;
  });
  return {
    child,
    exit,
    told: () => told,
    async says(text) {
      while (!told.includes(text)) {
        if (isOver) throw new Error(`expected the task to say "${text}", found: ${told}`);
        await delay(20);
      }
    },
  };
}

/** No process of the task's group is there any more; a killed one may take a moment to be buried. */
async function isGone({ pid }: ChildProcess): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    try {
      process.kill(-pid!, 0);
    } catch {
      return true;
    }
    await delay(20);
  }
  return false;
}

async function isListening(): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port: 54321 })).close();
    return true;
  } catch {
    return false;
  }
}
