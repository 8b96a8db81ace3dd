/** Balances of 50 to 1,000 rows on an EVM chain: the adapter beside viem, ethers and one call a row. */
import process from "node:process";
import { Contract, Interface, JsonRpcProvider, Network } from "ethers";
import { createPublicClient, erc20Abi, http } from "viem";
import type { WalletBalance } from "../functions/balance-sync/chains/adapter.ts";
import { openChain } from "../functions/balance-sync/chains/mod.ts";
import { startEvmWorld } from "../tests/chains/evm_world.ts";
import { type Figure, figure, median, show } from "./figure.ts";

const multicall3 = "0xcA11bde05977b3631167028862bE2a173976CA11";
const chainId = 31337;
const repeats = 9;
const sizes = [50, 200, 1000];

/** Rows of one token, as its peers read them: mixed tokens are no harder for any of them. */
interface Holdings {
  token: `0x${string}`;
  wallets: `0x${string}`[];
  amounts: bigint[];
}

/** Reads every balance, and says in how many requests. */
type Way = (holdings: Holdings) => Promise<{ values: bigint[]; requests: number }>;

export async function run(): Promise<Figure[]> {
  await using world = await startEvmWorld({ chainId });
  const wallets = await Promise.all(Array.from({ length: 1000 }, () => world.wallet()));
  const amounts = wallets.map((_, i) => BigInt(i + 1) * 10n ** 18n);
  const token = await world.token(wallets.map((wallet, i) => [wallet, amounts[i]!]));
  const holdings = { token, wallets, amounts } as Holdings;
  const far = await startLatency(Number(new URL(world.node.url).port));
  try {
    return [
      ...await measureCpu(holdings, world.node.url),
      ...await measureWall(holdings, far.url),
      ...await countRequests(holdings, world.node.url),
    ];
  } finally {
    far.stop();
  }
}

async function measureCpu(holdings: Holdings, url: string): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const size of sizes) {
    const some = first(size, holdings);
    const ways = [adapter(url), viemMulticall(url), ethersInterface(url)];
    const costs = ways.map(() => ({ cpu: [] as number[], wall: [] as number[] }));
    for (let i = -20; i < repeats; i++) {
      for (const [k, way] of ways.entries()) {
        const { cpu, wall } = await costOf(() => checked(way, some));
        // The first rounds are the compiler's.
        if (i < 0) continue;
        costs[k]!.cpu.push(cpu / size * 1000);
        costs[k]!.wall.push(wall);
      }
    }
    const [ours, viem, ethers] = costs.map(({ cpu, wall }) => ({
      cpu: median(cpu),
      wall: median(wall),
    })) as [Cost, Cost, Cost];
    const [ofViem, ofEthers] = size === 1000 ? [1 / 4, 1 / 15] : [1, 1];
    const n = `N = ${size}`;
    // ethers' queue adds two timers, 2 ms in all: felt only where there is no latency.
    figures.push(
      figure(`client CPU per row, ${n}: viem multicall`, ours.cpu, viem.cpu, "µs", ofViem),
      figure(`client CPU per row, ${n}: ethers Interface`, ours.cpu, ethers.cpu, "µs", ofEthers),
      figure(`wall without latency, ${n}: viem multicall`, ours.wall, viem.wall, "ms", 2),
    );
  }
  return figures;
}

async function measureWall(holdings: Holdings, url: string): Promise<Figure[]> {
  const provider = ethersProvider(url);
  const trip = () => provider.send("eth_blockNumber", []);
  const inSequence = first(20, holdings);
  const walls = {
    trip: [] as number[],
    row: [] as number[],
    sizes: sizes.map(() => [] as number[]),
  };
  for (let i = -2; i < repeats; i++) {
    const trips = (await costOf(trip)).wall;
    const ours: number[] = [];
    for (const size of sizes) {
      ours.push((await costOf(() => checked(adapter(url), first(size, holdings)))).wall);
    }
    // A thousand in sequence take a minute: 20 are timed, five times, and stand for the rest.
    if (i < 0) continue;
    walls.trip.push(trips);
    walls.sizes.forEach((values, k) => values.push(ours[k]!));
    if (i < 5) walls.row.push((await costOf(() => checked(oneByOne(url), inSequence))).wall / 20);
  }
  return [
    ...sizes.map((size, k) =>
      figure(
        `wall at 60 ms latency, N = ${size}: one round trip`,
        median(walls.sizes[k]!),
        median(walls.trip),
        "ms",
        2,
      )
    ),
    ...sizes.map((size, k) =>
      figure(
        `wall at 60 ms latency, N = ${size}: one call a row (from 20)`,
        median(walls.sizes[k]!),
        median(walls.row) * size,
        "ms",
        size === 1000 ? 1 / 150 : 1,
      )
    ),
  ];
}

async function countRequests(holdings: Holdings, url: string): Promise<Figure[]> {
  const ours = await checked(adapter(url), holdings);
  const viem = await checked(viemMulticall(url), holdings);
  return [
    figure("requests for 1,000 rows: viem multicall", ours, viem, "requests", 1),
    figure("requests for 1,000 rows: one call a row", ours, 1000, "requests", 1 / 150),
  ];
}

/** What the function does: a reader opened for the run, rows as the claim hands them out. */
function adapter(url: string): Way {
  return async ({ token, wallets }) => {
    const reader = await openChain({
      chain_id: "bench",
      name: "bench",
      adapter: "evm",
      rpc_url: url,
      settings: { evm_chain_id: chainId },
    });
    const rows = wallets.map((address, i): WalletBalance => ({
      id: `${i}`,
      address,
      asset_id: "bench",
      is_native: false,
      contract_address: token,
      decimals: 18,
    }));
    const results = await reader.read(rows, new AbortController().signal);
    const values = results.map((result) => "raw" in result ? result.raw : -1n);
    return { values, requests: reader.rpcCalls };
  };
}

function viemMulticall(url: string): Way {
  return async ({ token, wallets }) => {
    let requests = 0;
    const transport = http(url, {
      onFetchRequest() {
        requests++;
      },
    });
    const results = await createPublicClient({ transport }).multicall({
      multicallAddress: multicall3,
      contracts: wallets.map((wallet) => ({
        address: token,
        abi: erc20Abi,
        functionName: "balanceOf" as const,
        args: [wallet] as const,
      })),
    });
    return { values: results.map(({ result }) => result as bigint), requests };
  };
}

const abi = new Interface([
  "function aggregate3((address target, bool allowFailure, bytes callData)[]) payable returns ((bool success, bytes returnData)[])",
  "function balanceOf(address) view returns (uint256)",
]);

function ethersInterface(url: string): Way {
  return async ({ token, wallets }) => {
    const calls = wallets.map((
      wallet,
    ) => [token, true, abi.encodeFunctionData("balanceOf", [wallet])]);
    const data = abi.encodeFunctionData("aggregate3", [calls]);
    const answer = await ethersProvider(url).send("eth_call", [{ to: multicall3, data }, "latest"]);
    const [results] = abi.decodeFunctionResult("aggregate3", answer);
    const values = results.map(({ returnData }: { returnData: string }) =>
      abi.decodeFunctionResult("balanceOf", returnData)[0] as bigint
    );
    return { values, requests: 1 };
  };
}

/** As the worker this one replaces. */
function oneByOne(url: string): Way {
  return async ({ token, wallets }) => {
    const contract = new Contract(token, abi, ethersProvider(url));
    const values: bigint[] = [];
    for (const wallet of wallets) values.push(await contract.balanceOf!(wallet));
    return { values, requests: wallets.length };
  };
}

function ethersProvider(url: string): JsonRpcProvider {
  const network = Network.from(chainId);
  return new JsonRpcProvider(url, network, {
    staticNetwork: network,
    batchMaxCount: 1,
    cacheTimeout: -1,
  });
}

/** Runs it, compares every value with what the chain was given, and answers the request count. */
async function checked(way: Way, holdings: Holdings): Promise<number> {
  const { values, requests } = await way(holdings);
  if (values.length !== holdings.amounts.length) throw new Error("balances are missing");
  values.forEach((value, i) => {
    if (value !== holdings.amounts[i]) throw new Error(`row ${i} was read as ${value}`);
  });
  return requests;
}

function first(count: number, { token, wallets, amounts }: Holdings): Holdings {
  return { token, wallets: wallets.slice(0, count), amounts: amounts.slice(0, count) };
}

interface Cost {
  /** Milliseconds of CPU this process used, all threads. */
  cpu: number;
  wall: number;
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const before = { cpu: process.cpuUsage(), wall: performance.now() };
  await work();
  const { user, system } = process.cpuUsage(before.cpu);
  return { cpu: (user + system) / 1000, wall: performance.now() - before.wall };
}

async function startLatency(port: number): Promise<{ url: string; stop(): void }> {
  const worker = new Worker(import.meta.resolve("./latency.ts"), { type: "module" });
  const listening = new Promise<MessageEvent<{ port: number }>>((resolve) => {
    worker.onmessage = resolve;
  });
  worker.postMessage({ port });
  const { data } = await listening;
  return { url: `http://127.0.0.1:${data.port}`, stop: () => worker.terminate() };
}

if (import.meta.main) {
  for (const line of await run()) show(line);
  Deno.exit();
}
