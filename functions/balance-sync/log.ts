import { redact } from "./redact.ts";

export const levels = ["debug", "info", "warn", "error"] as const;
export type Level = typeof levels[number];

export function isLevel(text: string): text is Level {
  return (levels as readonly string[]).includes(text);
}

/** One function per level; each call is one line. */
export type Log = Record<Level, (message: string, fields?: Record<string, unknown>) => void>;

/**
 * Writes one JSON line per event from `lowest` up. The platform keeps 100 events per 10 s and 10,000
 * characters per event, so a run has one line at info, and what is told row by row is debug.
 */
export function createLog(lowest: Level): Log {
  const line = (level: Level) => (message: string, fields: Record<string, unknown> = {}) => {
    if (levels.indexOf(level) < levels.indexOf(lowest)) return;
    console[level](
      JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }, clean),
    );
  };
  return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
}

function clean(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return typeof value === "string" ? redact(value) : value;
}
