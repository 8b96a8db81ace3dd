/** From rows to results: grouped, asked for, and split until no row suffers for another one. */
import type { ChainReader, ReadError, ReadResult } from "./adapter.ts";
import { RouteChanged, type Session } from "./session.ts";
import { aborted, ChainFailure } from "./http.ts";
import { errorOf } from "./row_error.ts";
import type { Outcome, Row } from "./sighting.ts";

/** Gas for one balanceOf among others: plain tokens use 3-30k, proxies and rebasing ones 15-100k. */
const usualAllowance = 300_000;

/** Gas for one that needed more; a node grants 25-50 million to a whole request. */
const largeAllowance = 5_000_000;

/** Rows of a suspect token in one request, and how many must fail before the token is to blame. */
const sampleRows = 4;

/** What a run remembers of tokens (by address). */
interface Guilty {
  /** Broke or starved a request: read apart from all others. */
  suspects: Set<string>;
  /** Failed apart, too, for every owner tried: not asked again in this run. */
  condemned: Map<string, ReadError>;
}

/** The reader of a chain whose addresses are 0x and 40 digits, for the length of one run. */
export function readerOf(session: Session): ChainReader {
  const guilty: Guilty = { suspects: new Set(), condemned: new Map() };
  return {
    get rpcCalls() {
      return session.rpcCalls;
    },
    get chainId() {
      return session.chainId;
    },
    read(balances, signal) {
      const rows = balances.map(({ id, address, contract_address }) => ({
        id,
        token: contract_address?.slice(2),
        owner: address.slice(2),
      }));
      return readRows(rows, session, guilty, signal);
    },
  };
}

/** Exactly one result per row; rejects only for reasons that are no ChainFailure. */
async function readRows(
  rows: Row[],
  session: Session,
  { suspects, condemned }: Guilty,
  signal: AbortSignal,
): Promise<ReadResult[]> {
  const results: ReadResult[] = [];
  let answered = 0;

  const fail = (row: Row, error: ReadError) => results.push({ id: row.id, error });

  /** Asks for a group; what is to be asked for again, in another way, is returned. */
  async function settle(group: Row[], allowance: number): Promise<Row[]> {
    try {
      const { block, outcomes } = await session.look(group, allowance, signal);
      answered++;
      return await conclude(group, outcomes, block, allowance);
    } catch (failure) {
      if (failure instanceof RouteChanged) return group;
      if (!(failure instanceof ChainFailure)) throw failure;
      if (failure.remedy === "none" && !signal.aborted) {
        return await narrow(group, allowance, failure);
      }
      giveUp(group, failure);
      return [];
    }
  }

  /** Turns outcomes into results; returns the rows that deserve another try. */
  async function conclude(group: Row[], outcomes: Outcome[], block: bigint, allowance: number) {
    const again: Row[] = [];
    for (const [i, row] of group.entries()) {
      const outcome = outcomes[i]!;
      if ("raw" in outcome) {
        results.push({ id: row.id, raw: outcome.raw, block });
      } else if (outcome.failed === "not tried") {
        again.push(row);
      } else if (outcome.failed === "too little gas" && allowance === usualAllowance && row.token) {
        suspects.add(row.token);
        again.push(row);
      } else {
        fail(row, await errorOf(outcome, row, session, signal));
      }
    }
    if (again.length < group.length || again.some(isSuspect)) return again;
    // Not one row was tried: there is no gas for so many.
    return await narrow(group, allowance, noGas);
  }

  /** Halves a group whose request was refused until the row stands alone that brought it about. */
  async function narrow(group: Row[], allowance: number, refusal: ChainFailure): Promise<Row[]> {
    const [first] = group;
    if (group.length === 1) {
      const { code, message } = refusal;
      fail(first!, { code, message, scope: first!.token ? "contract" : "row" });
      return [];
    }
    const { token } = first!;
    const apart = allowance !== usualAllowance;
    if (
      token && !apart && group.length <= sampleRows && group.every((row) => row.token === token)
    ) {
      suspects.add(token);
      return group;
    }
    const half = Math.ceil(group.length / 2);
    const known = suspects.size + results.filter((result) => "error" in result).length;
    const left = await settle(group.slice(0, half), allowance);
    // The second half waits: what the first one learns about a token spares it the same way down.
    const [waiting, rest] = partition(group.slice(half), (row) => !apart && isSuspect(row));
    if (rest.length > 0) left.push(...await settle(rest, allowance));
    const nobodyToBlame = suspects.size + results.filter((r) => "error" in r).length === known;
    if (nobodyToBlame) session.rowsPerRequest = Math.min(session.rowsPerRequest, half);
    return [...left, ...waiting];
  }

  /** Reads a suspect token by itself, with much gas; four owners that fail condemn it. */
  async function settleApart(group: Row[]): Promise<Row[]> {
    const token = group[0]!.token!;
    const size = session.route.sandboxed ? sampleRows : 1;
    const sample = group.slice(0, sampleRows);
    const before = results.length;
    const left = await all(chunks(sample, size), (rows) => settle(rows, largeAllowance));
    const found = results.slice(before).filter(({ id }) => sample.some((row) => row.id === id));
    const errors = found.flatMap((result) => "error" in result ? [result.error] : []);
    const [error] = errors;
    if (error?.scope === "contract" && errors.length === sampleRows) condemned.set(token, error);
    const rest = group.slice(sampleRows);
    if (condemned.has(token)) return [...left, ...rest];
    return [...left, ...await all(chunks(rest, size), (rows) => settle(rows, largeAllowance))];
  }

  /** No answer at all. Where one token has a request to itself, and others did answer, it is to blame. */
  function giveUp(group: Row[], failure: ChainFailure) {
    const { token } = group[0]!;
    const blame = token && answered > 0 && !session.route.sandboxed && failure.remedy === "retry";
    const error: ReadError = { ...failure.error, scope: blame ? "contract" : failure.scope };
    if (blame) condemned.set(token, error);
    for (const row of group) fail(row, error);
  }

  const isSuspect = (row: Row) => row.token !== undefined && suspects.has(row.token);

  let todo = rows.toSorted(byToken);
  while (todo.length > 0) {
    const before = { left: todo.length, suspects: suspects.size, route: session.route };
    const [dismissed, open] = partition(todo, (row) => condemned.has(row.token ?? ""));
    for (const row of dismissed) fail(row, condemned.get(row.token!)!);
    const [apart, together] = partition(open, isSuspect);
    const { route } = session;
    const size = Math.min(session.rowsPerRequest, route.maxRows);
    const groups = route.sandboxed ? [together] : byTokens(together);
    const left = await all(
      groups.flatMap((rows) => chunks(rows, size)),
      (rows) => settle(rows, usualAllowance),
    );
    const leftApart = await all(byTokens(apart), settleApart);
    todo = [...left, ...leftApart].toSorted(byToken);
    const moved = todo.length < before.left || suspects.size > before.suspects ||
      session.route !== before.route;
    if (!moved) {
      for (const row of todo) fail(row, signal.aborted ? aborted().error : noGas.error);
      break;
    }
  }
  return results;
}

const noGas = new ChainFailure(
  "out_of_gas",
  "the node grants too little gas to read this balance",
  {
    scope: "contract",
  },
);

/** Native rows first: where calls share one state, no token has run before them. */
function byToken(a: Row, b: Row): number {
  const [left, right] = [a.token ?? "", b.token ?? ""];
  return left < right ? -1 : left > right ? 1 : 0;
}

function byTokens(rows: Row[]): Row[][] {
  return [...Map.groupBy(rows, ({ token }) => token).values()];
}

function chunks(rows: Row[], size: number): Row[][] {
  // Even ones: of 260 rows two requests of 130, not 250 and 10.
  const count = Math.ceil(rows.length / size);
  const even = Math.ceil(rows.length / count);
  return Array.from({ length: count }, (_, i) => rows.slice(i * even, (i + 1) * even));
}

function partition(rows: Row[], goesLeft: (row: Row) => boolean): [Row[], Row[]] {
  const left: Row[] = [], right: Row[] = [];
  for (const row of rows) (goesLeft(row) ? left : right).push(row);
  return [left, right];
}

async function all(groups: Row[][], read: (rows: Row[]) => Promise<Row[]>): Promise<Row[]> {
  return (await Promise.all(groups.map(read))).flat();
}
