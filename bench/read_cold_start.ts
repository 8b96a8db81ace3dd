/** What an isolate pays before its first EVM row: our modules beside the two libraries they need. */
import { type Figure, figure, median, show } from "./figure.ts";

const repeats = 9;

/** The handler as index.ts serves it, and the family that a batch without TRON rows loads. */
const ours = `
  const { createHandler } = await import("./functions/balance-sync/handler.ts");
  const { families } = await import("./functions/balance-sync/chains/mod.ts");
  await families.evm();
  if (!createHandler) throw new Error("no handler");`;

const libraries = `
  await import("ethers");
  await import("@supabase/supabase-js");`;

export async function run(): Promise<Figure[]> {
  const cpu = { ours: [] as number[], libraries: [] as number[] };
  for (let i = -2; i < repeats; i++) {
    const [mine, theirs] = [await coldCpu(ours), await coldCpu(libraries)];
    // The first rounds fill Deno's caches.
    if (i < 0) continue;
    cpu.ours.push(mine);
    cpu.libraries.push(theirs);
  }
  return [
    figure(
      "cold start CPU, no TRON row: ethers + supabase-js alone",
      median(cpu.ours),
      median(cpu.libraries),
      "ms",
      1.15,
    ),
  ];
}

/** Milliseconds of CPU that a new process spends on these imports. */
async function coldCpu(imports: string): Promise<number> {
  const code = `
    import process from "node:process";
    const before = process.cpuUsage();
    ${imports}
    const { user, system } = process.cpuUsage(before);
    console.log((user + system) / 1000);
    Deno.exit();`;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    cwd: new URL("..", import.meta.url).pathname,
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`the imports failed: ${decoder.decode(stderr)}`);
  return Number(decoder.decode(stdout));
}

if (import.meta.main) {
  for (const line of await run()) show(line);
}
