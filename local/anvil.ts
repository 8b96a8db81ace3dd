/** anvil, as published in its npm platform packages. */
import { fileURLToPath } from "node:url";
import { startChild } from "./child.ts";

const VERSION = "1.7.1";

export interface Anvil extends AsyncDisposable {
  url: string;
}

/** Starts anvil on a free port. */
export async function startAnvil(args: string[]): Promise<Anvil> {
  const child = startChild(await anvilPath(), {
    args: [
      ...["--host", "127.0.0.1"],
      // 0: the system picks a free one while binding, so there is nothing to race for
      ...["--port", "0"],
      // states of the last 500 blocks stay in memory; older ones would be left behind in the home folder
      ...["--max-persisted-states", "0"],
      ...args,
    ],
  });
  const complaint = Array.fromAsync(child.stderr);
  let heard = "";
  const lines = child.stdout.getReader();
  let address: string | undefined;
  while (!address) {
    const { value, done } = await lines.read();
    if (done) break;
    heard += value;
    address = /Listening on (\S+)\n/.exec(heard)?.[1];
  }
  if (!address) {
    await child[Symbol.asyncDispose]();
    throw new Error(`Cannot start anvil: ${(await complaint).join("").trim() || heard.trim()}`);
  }
  lines.releaseLock();
  // anvil reports every request: read on, or it stops once the pipe is full
  const drained = child.stdout.pipeTo(new WritableStream());

  return {
    url: `http://${address}`,
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      await Promise.all([drained, complaint]);
    },
  };
}

/**
 * anvil's wrapper package wants every platform package to exist; the one of this machine is enough.
 * Importing its manifest makes Deno download, verify and cache the package with its binary.
 */
async function anvilPath(): Promise<string> {
  const arch = Deno.build.arch === "x86_64" ? "amd64" : "arm64";
  const os = Deno.build.os === "windows" ? "win32" : Deno.build.os;
  const name = `npm:@foundry-rs/anvil-${os}-${arch}@${VERSION}`;
  await import(`${name}/package.json`, { with: { type: "json" } });
  const binary = os === "win32" ? "anvil.exe" : "anvil";
  return fileURLToPath(import.meta.resolve(`${name}/bin/${binary}`));
}
