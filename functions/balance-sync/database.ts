import { createClient } from "@supabase/supabase-js";

/** The project's Data API, and how a call that may be repeated is repeated. */
export interface Database {
  call(name: string, args: Record<string, unknown>): Promise<unknown>;
  /** Pauses before the second and later attempts of a call that may be repeated. */
  retryPausesMs: number[];
}

/** A call the database did not carry out, or whose answer did not arrive. */
export class DatabaseError extends Error {
  override name = "DatabaseError";
  constructor(
    message: string,
    /** SQLSTATE or PostgREST code; without one `http_4xx`, or `unreachable` when nothing came. */
    readonly code: string,
    /** Worth another attempt: nobody answered, or the server was busy or going down. */
    readonly passing: boolean,
    /** Detail of the SQL error. */
    readonly details: string | null = null,
  ) {
    super(message);
  }
}

// Deadlock, serialization, statement timeout, lock timeout, out of connections or memory, shutting
// down; PostgREST: no connection, no connection in time.
const passing = /^(40P01|40001|57014|55P03|53...|57P0.|08...|PGRST00[0-3])$/;

/**
 * A statement of service_role ends after 8 s (authenticator's statement_timeout), so 10 s without an
 * answer is a lost one. Four attempts and their pauses take 44 s at worst: a deadline of 60 s and
 * then a record in trouble still end inside a lease of 120 s.
 */
export function openDatabase(
  url: string,
  key: string,
  { timeoutMs = 10_000, retryPausesMs = [250, 1000, 3000] } = {},
): Database {
  const client = createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    db: { timeout: timeoutMs },
  });
  return {
    retryPausesMs,
    async call(name, args) {
      const { data, error, status } = await client.rpc(name, args);
      // Every function of ours answers something: nothing is an answer cut off.
      if (!error && data !== null) return data;
      if (error?.code) {
        const { code, details } = error;
        // 22023 is raised by our own SQL, in a sentence that needs no introduction.
        const message = code === "22023"
          ? error.message
          : `Cannot call ${name}: ${error.message} (${code})`;
        throw new DatabaseError(message, code, passing.test(code), details);
      }
      // Only an answer of PostgREST has a code. All else is a gateway's page or a broken connection,
      // whose text (a URL, HTML) helps nobody.
      const refused = status >= 400 && status < 500 && status !== 408 && status !== 429;
      const found = status === 0 ? "none" : `HTTP ${status} and nothing of the database`;
      throw new DatabaseError(
        `Cannot call ${name}: expected an answer of the Data API, found ${found}`,
        refused ? `http_${status}` : "unreachable",
        !refused,
      );
    },
  };
}

/** Calls what may be called twice: until it answers, fails for good, or the attempts are used up. */
export async function callRepeatedly(
  database: Database,
  name: string,
  args: Record<string, unknown>,
): Promise<unknown> {
  for (const pauseMs of database.retryPausesMs) {
    try {
      return await database.call(name, args);
    } catch (error) {
      if (!(error instanceof DatabaseError) || !error.passing) throw error;
      // Jittered, so that runs interrupted by one outage do not return as one.
      await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.75 + Math.random() / 2)));
    }
  }
  return await database.call(name, args);
}
