/** Sessions that take turns in a given order, and the ways to shuffle their turns. */
import type postgres from "postgres";
import type { TestDatabase } from "./on_postgres.ts";

export interface Sessions {
  /**
   * The session's next turn, after its last one. Resolves when it is done, or as soon as it has to
   * wait for another session.
   */
  turn(name: string, work: (sql: postgres.Sql) => Promise<unknown>): Promise<void>;
  /** Resolves when every session has done all its turns, or has to wait for another. */
  rest(): Promise<void>;
  /** Resolves when all that was begun is done. */
  settled(): Promise<void>;
}

interface Session {
  sql: postgres.Sql;
  pid: number;
  busy: Promise<unknown>;
}

export function openSessions(database: TestDatabase): Sessions {
  const observer = database.connect();
  const sessions = new Map<string, Session>();
  return {
    async turn(name, work) {
      const session = sessions.get(name) ?? await enter(database);
      sessions.set(name, session);
      const done = session.busy.then(() => work(session.sql));
      session.busy = done;
      // a failure is told by settled()
      done.catch(() => {});
      await untilBlocked(session, observer);
    },
    async rest() {
      for (const session of sessions.values()) await untilBlocked(session, observer);
    },
    async settled() {
      await Promise.all([...sessions.values()].map(({ busy }) => busy));
    },
  };
}

async function enter(database: TestDatabase): Promise<Session> {
  const sql = database.connect();
  const [row] = await sql`select pg_backend_pid() as pid`;
  return { sql, pid: row!.pid, busy: Promise.resolve() };
}

/** Resolves when the session is done or has to wait; a failure is told by settled(). */
async function untilBlocked({ busy, pid }: Session, observer: postgres.Sql): Promise<void> {
  for (;;) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const finished = await Promise.race([
      busy.then(() => true, () => true),
      new Promise<false>((resolve) => timer = setTimeout(resolve, 5, false)),
    ]);
    clearTimeout(timer);
    if (finished) return;
    const [row] = await observer`select cardinality(pg_blocking_pids(${pid})) > 0 as blocked`;
    if (row!.blocked) return;
  }
}

/** Every order in which the scripts can be shuffled together, each script's own order kept. */
export function shuffles(...scripts: string[][]): string[][] {
  if (scripts.every((script) => script.length === 0)) return [[]];
  return scripts.flatMap(([first, ...rest], at) =>
    first === undefined ? [] : shuffles(...scripts.with(at, rest)).map((order) => [first, ...order])
  );
}
