/**
 * A claim of 500 rows through the Data API (@supabase/lite on Postgres, asked by supabase-js over HTTP)
 * beside the same claim on a connection of its own: the share of its time that is Postgres's and ours.
 */
import { createClient } from "@supabase/supabase-js";
import { openDatabase } from "../local/database.ts";
import { balanceOf, batchSize } from "./claim_contender.ts";
import { connect, startBenchServer } from "./claim_server.ts";
import { type Figure, figure, median, show } from "./figure.ts";

const rows = 100_000;
const claims = 60;

interface Claim {
  claim_id: string;
  chains: { balances: { id: string }[] }[];
}

export async function run(): Promise<Figure[]> {
  await using server = await startBenchServer(rows);
  const keys = { publishableKey: "sb_publishable_bench", secretKey: "sb_secret_bench" };
  await using database = await openDatabase(keys, server.url);
  await using http = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    database.dataApi,
  );
  const client = createClient(`http://127.0.0.1:${http.addr.port}`, keys.secretKey, {
    auth: { persistSession: false, autoRefreshToken: false },
  });
  const sql = connect(server.serviceUrl);

  const direct: number[] = [];
  const throughApi: number[] = [];
  for (let turn = 0; turn < claims; turn++) {
    let before = performance.now();
    const [row] = await sql<{ claim: Claim }[]>`
      select claim_wallet_balances('direct', ${batchSize}) as claim`;
    direct.push(performance.now() - before);

    before = performance.now();
    const { data, error } = await client.rpc("claim_wallet_balances", {
      worker_id: "api",
      batch_size: batchSize,
    });
    throughApi.push(performance.now() - before);
    if (error) throw new Error(`Cannot claim through the Data API: ${error.message}`);

    for (const claim of [row!.claim, data as Claim]) {
      const block = `${Date.now()}`;
      const results = claim.chains.flatMap(({ balances }) => balances).map(({ id }, n) => ({
        id,
        raw: balanceOf(n, turn),
        block,
      }));
      await sql`select record_wallet_balances(${claim.claim_id}, ${sql.json(results)})`;
    }
  }
  await sql.end();
  return [
    figure(
      "a claim of 500 rows, direct beside through the Data API",
      median(direct),
      median(throughApi),
      "ms",
      1,
    ),
  ];
}

if (import.meta.main) {
  for (const line of await run()) show(line);
}
