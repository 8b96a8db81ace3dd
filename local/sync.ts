/** `deno task sync`: a one-off sync of a project over HTTP. */
import { setColorEnabled } from "@std/fmt/colors";
import type { Progress, RunSummary } from "../functions/balance-sync/run_summary.ts";
import { createProgressBar } from "./progress_bar.ts";
import { embeddedProject, NotRun, type Project, projectOfEnvironment } from "./project.ts";
import { readArguments, usage } from "./sync_arguments.ts";

if (import.meta.main) {
  setColorEnabled(Deno.stdout.isTerminal() && !Deno.noColor);
  Deno.exit(await sync(Deno.args));
}

/** The exit code: 0 all recorded, 1 some rows failed, 2 not run. */
async function sync(args: string[]): Promise<number> {
  try {
    const { body, local, help } = parsed(args);
    if (help) {
      console.log(usage);
      return 0;
    }
    await using project = local ? await embeddedProject() : fromEnvironment();
    return await syncAll(project, body);
  } catch (error) {
    if (!(error instanceof NotRun)) throw error;
    console.error(error.message);
    return 2;
  }
}

/** A run ends at its deadline: while more rows are due, the next one goes on. */
async function syncAll(project: Project, body: Record<string, unknown>): Promise<number> {
  const isFiltered = ["chain", "wallet_ids", "wallet_balance_ids"].some((key) => key in body);
  let failed = false;
  let batchesLeft = body.max_batches as number | undefined;
  for (;;) {
    const limit = batchesLeft === undefined ? {} : { max_batches: batchesLeft };
    const expected = isFiltered ? 0 : await countDue(project);
    const summary = await syncOnce(project, { ...body, ...limit }, expected);
    failed ||= summary.failed + summary.lost > 0 || summary.stopped_because === "error" ||
      summary.chains.some(({ errors }) => Object.keys(errors).length > 0);
    // With a filter the next run would begin with the same rows again, as would a dry run.
    if (summary.stopped_because !== "deadline") return failed ? 1 : 0;
    if (isFiltered || body.dry_run) return 1;
    if (batchesLeft !== undefined) batchesLeft -= summary.batches;
  }
}

async function syncOnce(
  project: Project,
  body: Record<string, unknown>,
  expected: number,
): Promise<RunSummary> {
  const bar = Deno.stdout.isTerminal() ? createProgressBar(expected, print) : undefined;
  const response = await ask(project, "/", {
    method: "POST",
    headers: { accept: "application/x-ndjson" },
    body: JSON.stringify(body),
  });
  let summary: RunSummary | undefined;
  for await (const line of lines(response.body!)) {
    if (!bar) print(`${line}\n`);
    const told: Progress | RunSummary = JSON.parse(line);
    if ("event" in told) bar?.step(told);
    else summary = told;
  }
  if (!summary) {
    throw new Error("Cannot tell how the run ended: the connection broke before its summary");
  }
  bar?.end(summary);
  return summary;
}

/** How long the bar is to be; the function counts no further than 10,000. */
async function countDue(project: Project): Promise<number> {
  const response = await ask(project, "/metrics");
  return Number(/^balance_sync_due_balances (\d+)$/m.exec(await response.text())?.[1] ?? 0);
}

async function ask(project: Project, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { ...init.headers as Record<string, string>, apikey: project.secretKey };
  const url = `${project.url}/functions/v1/balance-sync${path}`;
  let response;
  try {
    response = await fetch(url, { ...init, headers });
  } catch {
    throw new NotRun(`Cannot sync: expected a project at ${project.url}, found none`);
  }
  if (response.ok) return response;
  const text = await response.text();
  let message = `HTTP ${response.status}`;
  try {
    message = JSON.parse(text).error.message;
  } catch {
    // Not the function's own answer: a gateway's has nothing to tell.
  }
  throw new NotRun(message);
}

function parsed(args: string[]) {
  try {
    return readArguments(args);
  } catch (error) {
    throw new NotRun(`${(error as Error).message}\n\n${usage}`);
  }
}

function fromEnvironment(): Project {
  try {
    return projectOfEnvironment();
  } catch (error) {
    throw new NotRun(`${(error as Error).message}\n\n${usage}`);
  }
}

async function* lines(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const whole = (rest + chunk).split("\n");
    rest = whole.pop()!;
    yield* whole;
  }
}

function print(text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) {
    written += Deno.stdout.writeSync(bytes.subarray(written));
  }
}
