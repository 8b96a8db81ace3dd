/** Balance Sync itself: claim, record. */
import { balanceOf, batchSize, type Contender } from "./claim_contender.ts";
import { connect, withAdmin } from "./claim_server.ts";

interface Claim {
  claim_id: string | null;
  chains: { balances: { id: string }[] }[];
}

export const ours: Contender = {
  name: "Balance Sync",
  prepare: (database) =>
    withAdmin(database, async (sql) => {
      await sql.unsafe("vacuum analyze").simple();
    }),
  open({ serviceUrl }, n) {
    const sql = connect(serviceUrl);
    let turn = 0;
    return {
      async turn() {
        const [claimed] = await sql<{ claim: Claim }[]>`
          select claim_wallet_balances(${`worker ${n}`}, ${batchSize}) as claim`;
        const { claim_id, chains } = claimed!.claim;
        if (claim_id === null) return 0;
        turn++;
        // never older than a block of an earlier round, which would not be written
        const block = `${Date.now()}`;
        const results = chains.flatMap(({ balances }) => balances).map(({ id }, row) => ({
          id,
          raw: balanceOf(row, turn),
          block,
        }));
        const [answer] = await sql`
          select (record_wallet_balances(${claim_id}, ${
          sql.json(results)
        }) ->> 'recorded')::integer as recorded`;
        return answer!.recorded;
      },
      close: () => sql.end(),
    };
  },
};
