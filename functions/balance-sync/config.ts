import { isLevel, type Level, levels } from "./log.ts";

/** What the environment says, read and checked once. */
export interface Config {
  /** Accepted values of `x-balance-sync-secret`. None: that header opens nothing. */
  secrets: string[];
  /** Accepted values of `apikey` and `Authorization: Bearer`. */
  secretKeys: string[];
  supabaseUrl: string;
  /** The secret key the function itself calls the Data API with. */
  databaseKey: string;
  /** Null: `balance_sync.settings` decides. */
  batchSize: number | null;
  lockSeconds: number | null;
  /** A run claims and reads no longer than this; 60 s leaves half of a 120 s lease for recording. */
  deadlineMs: number;
  logLevel: Level;
  /** Why the function cannot work. Told to authorized callers only, so it is kept, not thrown. */
  problems: string[];
}

/** Reads the environment of an Edge Function. Names of the variables appear in problems, values never. */
export function readConfig(env: (name: string) => string | undefined): Config {
  const problems: string[] = [];
  const get = (name: string) => env(name)?.trim() ?? "";

  const publishable = [
    ...keysIn("SUPABASE_PUBLISHABLE_KEYS").values(),
    get("SUPABASE_PUBLISHABLE_KEY"),
    get("SUPABASE_ANON_KEY"),
  ];
  const isSecret = (key: string) =>
    key !== "" && !key.startsWith("sb_publishable_") && !publishable.includes(key);

  const named = keysIn("SUPABASE_SECRET_KEYS");
  // This order and no other: on a project without legacy keys the last one still holds a dead JWT.
  const databaseKeys = [
    named.get("default") ?? [...named.values()].find(isSecret) ?? "",
    get("SUPABASE_SECRET_KEY"),
    get("SUPABASE_SERVICE_ROLE_KEY"),
  ];
  const databaseKey = databaseKeys.find(isSecret) ?? "";
  if (databaseKey === "") {
    problems.push(
      "Cannot reach the database without a secret key: expected a key in SUPABASE_SECRET_KEYS, " +
        "SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY, found none",
    );
  }

  const supabaseUrl = get("SUPABASE_URL");
  if (!/^https?:\/\//.test(supabaseUrl) || !URL.canParse(supabaseUrl)) {
    const found = supabaseUrl === "" ? "nothing" : "something else";
    problems.push(`Cannot read SUPABASE_URL: expected an http or https URL, found ${found}`);
  }

  let secrets = get("BALANCE_SYNC_SECRET").split(",").map((secret) => secret.trim());
  if (secrets.length > 2) {
    problems.push(
      `Cannot read BALANCE_SYNC_SECRET: expected at most 2 comma-separated values, found ${secrets.length}`,
    );
    secrets = [];
  }

  const logLevel = get("LOG_LEVEL").toLowerCase() || "info";
  if (!isLevel(logLevel)) {
    problems.push(`Cannot read LOG_LEVEL: expected one of ${levels.join(", ")}`);
  }

  return {
    secrets: secrets.filter(isSecret),
    secretKeys: [...named.values(), ...databaseKeys].filter(isSecret),
    supabaseUrl,
    databaseKey,
    batchSize: integer("BATCH_SIZE", 1000),
    lockSeconds: integer("LOCK_DURATION_SECONDS", 3600),
    deadlineMs: 60_000,
    logLevel: isLevel(logLevel) ? logLevel : "info",
    problems,
  };

  function keysIn(name: string): Map<string, string> {
    const text = get(name);
    if (text === "") return new Map();
    try {
      const keys: unknown = JSON.parse(text);
      if (typeof keys === "object" && keys !== null && !Array.isArray(keys)) {
        return new Map(
          Object.entries(keys).filter((entry): entry is [string, string] =>
            typeof entry[1] === "string"
          ),
        );
      }
    } catch {
      // Falls through: the parser's message would quote the keys.
    }
    problems.push(`Cannot read ${name}: expected a JSON object of name and key`);
    return new Map();
  }

  function integer(name: string, highest: number): number | null {
    const text = get(name);
    if (text === "") return null;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= 1 && value <= highest) return value;
    problems.push(
      `Cannot read ${name}: expected an integer from 1 to ${highest}, found ${
        JSON.stringify(text)
      }`,
    );
    return null;
  }
}
