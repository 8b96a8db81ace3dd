/** One chain for the length of one run: its nodes, the way to read it, and what tells it apart. */
import type { Chain } from "./adapter.ts";
import { ChainFailure, type Endpoint, malformed, openTransport, setting } from "./http.ts";
import type { Row, Sighting } from "./sighting.ts";

/** One way to read many balances from a node. */
export interface Route<Node> {
  /** Rows one request can hold. */
  maxRows: number;
  /** Whether rows of several token contracts may share a request without harming each other. */
  sandboxed: boolean;
  /** Reads at `blockTag`, giving each balanceOf `allowance` gas where the route can say so. */
  read(
    node: Node,
    rows: Row[],
    options: { blockTag: string; allowance: number },
  ): Promise<Sighting>;
}

/** What a family knows about its nodes. */
export interface Access<Node> {
  connect(endpoint: Endpoint): Node;
  /** The best way first. */
  routes: Route<Node>[];
  /** Whether there is code at a token's address; for the routes that only see "nothing". */
  hasCode(node: Node, token: string, blockTag: string): Promise<boolean>;
  /** Rows to put into one request, unless the chain's settings say otherwise. */
  rowsPerRequest: number;
}

/**
 * An answer this much older than another of the same run comes from a node that lags behind. Nodes
 * behind one URL differ by seconds; there is no bound against the clock, as quiet chains make no
 * blocks for hours. What is older than the block a row was last read at, Postgres refuses.
 */
const staleSeconds = 120n;

export interface Session {
  readonly rpcCalls: number;
  /** What every answer so far came from; what it must come from where that is known. */
  readonly chainId: bigint | undefined;
  /** The way it is read at present. */
  readonly route: Pick<Route<unknown>, "maxRows" | "sandboxed">;
  /** Rows to put into one request; learns from requests that were too large. */
  rowsPerRequest: number;
  /**
   * The rows as one node of this chain sees them. Rejects with a ChainFailure whose remedy is `none`
   * when the node refused this very request; with {@link RouteChanged} when the rows are to be asked
   * for in another way.
   */
  look(rows: Row[], allowance: number, signal: AbortSignal): Promise<Sighting>;
  /** Whether there is code at a token's address. */
  hasCode(token: string, signal: AbortSignal): Promise<boolean>;
}

/** The chain turned out to be read in another way than the rows were grouped for. */
export class RouteChanged extends Error {}

/** Throws a ChainFailure when the chain's settings are no good. */
export function openSession<Node>(chain: Chain, access: Access<Node>): Session {
  const { settings } = chain;
  const { routes } = access;
  const transport = openTransport(chain);
  const blockTag = blockTagOf(settings.block_tag);
  let expectedChainId = chainIdOf(settings.evm_chain_id);
  let latest = 0n;
  let current = 0;
  let changing: Promise<void> | undefined;

  const ask = (route: Route<Node>, rows: Row[], allowance: number, signal: AbortSignal) =>
    transport.run(async (endpoint) => {
      const sighting = await attempt(
        endpoint,
        (node) => route.read(node, rows, { blockTag, allowance }),
      );
      accept(sighting, endpoint);
      return sighting;
    }, signal);

  /** What is done to one node; an error that is not ours is an answer nobody foresaw. */
  async function attempt<T>(endpoint: Endpoint, use: (node: Node) => Promise<T>): Promise<T> {
    try {
      return await use(access.connect(endpoint));
    } catch (failure) {
      throw failure instanceof ChainFailure ? failure : malformed(endpoint.alias);
    }
  }

  function accept({ chainId, timestamp }: Sighting, { alias }: Endpoint) {
    expectedChainId ??= chainId;
    if (chainId !== expectedChainId) {
      const message = `${alias} is a node of chain ${chainId}: expected ${expectedChainId}`;
      throw new ChainFailure("wrong_chain", message, { remedy: "out" });
    }
    if (timestamp + staleSeconds < latest) {
      const message = `${alias} is ${latest - timestamp} s behind another answer of this run`;
      throw new ChainFailure("stale_node", message, { remedy: "out" });
    }
    if (timestamp > latest) latest = timestamp;
  }

  /** Whether a request without rows is answered: then a refusal was about the rows. */
  async function works(route: Route<Node>, signal: AbortSignal): Promise<boolean> {
    try {
      await ask(route, [], 0, signal);
      return true;
    } catch (failure) {
      if (failure instanceof ChainFailure && failure.remedy === "none") return false;
      throw failure;
    }
  }

  /** Goes on to the first later route that works; when none does, the node is ill, not the route. */
  async function change(refusal: ChainFailure, signal: AbortSignal): Promise<void> {
    for (let i = current + 1; i < routes.length; i++) {
      if (await works(routes[i]!, signal)) {
        current = i;
        return;
      }
    }
    throw new ChainFailure(refusal.code, refusal.message, { remedy: "elsewhere" });
  }

  return {
    rowsPerRequest: setting(
      "calls_per_request",
      settings.calls_per_request,
      access.rowsPerRequest,
      1000,
    ),
    get rpcCalls() {
      return transport.rpcCalls;
    },
    get chainId() {
      return expectedChainId;
    },
    get route() {
      return routes[current]!;
    },
    async look(rows, allowance, signal) {
      const route = routes[current]!;
      try {
        return await ask(route, rows, allowance, signal);
      } catch (failure) {
        if (!(failure instanceof ChainFailure) || failure.remedy !== "none") throw failure;
        // What ran out of gas has been run: the rows are too many, not the route wrong.
        if (failure.code === "out_of_gas" || signal.aborted || await works(route, signal)) {
          throw failure;
        }
        if (route === routes[current]) {
          changing ??= change(failure, signal).finally(() => changing = undefined);
          await changing;
        }
        throw new RouteChanged();
      }
    },
    hasCode: (token, signal) =>
      transport.run(
        (endpoint) => attempt(endpoint, (node) => access.hasCode(node, token, blockTag)),
        signal,
      ),
  };
}

function blockTagOf(tag: string | undefined): string {
  if (tag === undefined || tag === null) return "latest";
  if (["latest", "safe", "finalized"].includes(tag)) return tag;
  throw new ChainFailure("invalid_chain_settings", "block_tag must be latest, safe or finalized");
}

function chainIdOf(id: number | string | undefined): bigint | undefined {
  if (id === undefined || id === null) return undefined;
  if (/^([1-9]\d*|0x[0-9a-f]+)$/i.test(`${id}`)) return BigInt(id);
  throw new ChainFailure("invalid_chain_settings", "evm_chain_id must be a positive integer");
}
