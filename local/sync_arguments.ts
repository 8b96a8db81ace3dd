/** What `deno task sync` was asked for. */
import { parseArgs } from "node:util";

export interface SyncArguments {
  /** The body of `POST /`. */
  body: Record<string, unknown>;
  local: boolean;
  help: boolean;
}

export const usage = `deno task sync [filters]
  --chain <name>              only rows of this chain
  --wallet-id <uuid>          only rows of this wallet; may be repeated
  --wallet-balance-id <uuid>  only this row; may be repeated
  --batch-size <n>            rows per batch
  --max-batches <n>           stop after so many batches
  --dry-run                   read and report, record nothing
  --local                     the embedded stack: the one of deno task dev, or one of its own

The project is SUPABASE_URL, with a secret key in SUPABASE_SECRET_KEY (or SUPABASE_SECRET_KEYS,
SUPABASE_SERVICE_ROLE_KEY). Without filters: all rows that are due. Piped, it writes NDJSON.
Exit code: 0 all recorded, 1 some rows failed, 2 not run.`;

/** Throws a TypeError that names the option it does not understand. */
export function readArguments(args: string[]): SyncArguments {
  const { values } = parseArgs({
    args,
    options: {
      chain: { type: "string" },
      "wallet-id": { type: "string", multiple: true },
      "wallet-balance-id": { type: "string", multiple: true },
      "batch-size": { type: "string" },
      "max-batches": { type: "string" },
      "dry-run": { type: "boolean" },
      local: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  const body = {
    chain: values.chain,
    wallet_ids: values["wallet-id"],
    wallet_balance_ids: values["wallet-balance-id"],
    batch_size: integer("batch-size", values["batch-size"]),
    max_batches: integer("max-batches", values["max-batches"]),
    dry_run: values["dry-run"],
  };
  return {
    body: Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)),
    local: values.local ?? false,
    help: values.help ?? false,
  };
}

/** The range is the function's to check; what is no integer would not reach it as one. */
function integer(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^-?\d+$/.test(text)) return Number(text);
  throw new TypeError(`Cannot read --${option}: expected an integer, found "${text}"`);
}
