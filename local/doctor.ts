/** `deno task doctor`: what would stop a project's rows from being synced, and what mends it. */
import { setColorEnabled } from "@std/fmt/colors";
import { parseArgs } from "node:util";
import { examine } from "./doctor/examine.ts";
import { writeReport } from "./doctor/report.ts";
import { embeddedProject, NotRun, projectOfEnvironment } from "./project.ts";

const usage = `deno task doctor [options]
  --json    one JSON object, for machines
  --local   the embedded stack: the one of deno task dev, or one of its own

The project is SUPABASE_URL, with a secret key in SUPABASE_SECRET_KEY (or SUPABASE_SECRET_KEYS,
SUPABASE_SERVICE_ROLE_KEY). With BALANCE_SYNC_SECRET it is tried whether the function takes it.
Exit code: 0 healthy, 1 findings, 2 not run.`;

if (import.meta.main) {
  setColorEnabled(Deno.stdout.isTerminal() && !Deno.noColor);
  Deno.exit(await doctor(Deno.args));
}

/** The exit code: 0 healthy, 1 findings, 2 not run. */
async function doctor(args: string[]): Promise<number> {
  try {
    const options = parsed(args);
    if (options.help) {
      console.log(usage);
      return 0;
    }
    await using project = options.local
      ? await embeddedProject({ schedule: true })
      : projectOfEnvironment();
    const secret = options.local ? undefined : Deno.env.get("BALANCE_SYNC_SECRET")?.split(",")[0];
    const report = await examine(project, secret?.trim());
    console.log(options.json ? JSON.stringify(report) : writeReport(report));
    return report.healthy ? 0 : 1;
  } catch (error) {
    if (!(error instanceof NotRun)) throw error;
    console.error(error.message);
    return 2;
  }
}

function parsed(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        json: { type: "boolean" },
        local: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
    return values;
  } catch (error) {
    throw new NotRun(`${(error as Error).message}\n\n${usage}`);
  }
}
