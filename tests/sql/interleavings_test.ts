/**
 * Two workers and the rest of the world meet at one row. The transcripts below are written out; the
 * storm at the end runs every order in which three scripts can be shuffled together.
 */
import { assertEquals } from "@std/assert";
import { type Facts, onPostgres } from "./on_postgres.ts";
import { shuffles } from "./sessions.ts";
import { openStage } from "./stage.ts";

/** Step by step: who does what, and what comes of it. "waits" is answered by a later line. */
const transcripts: Record<string, string[]> = {
  "a claim and a lease that runs out: before it is not due, after it is": [
    "a claims: has it",
    "b claims: nothing",
    "the lease ends",
    "b claims: has it",
    "a records: lost",
    "row: b holds it",
  ],
  "a claim begun before the lease ran out does not see its end": [
    "a claims: has it",
    "b begins",
    "the lease ends in a moment",
    "b claims: nothing",
    "b commits",
    "row: a held it",
  ],
  "a claim passes by a row that is being recorded, expired or not": [
    "a claims: has it",
    "a begins",
    "a records: recorded",
    "b claims: nothing",
    "a commits",
    "b claims: nothing",
    "row: idle",
  ],
  "a record that is rolled back leaves the lease": [
    "a claims: has it",
    "a begins",
    "a records: recorded",
    "a rolls back",
    "b claims: nothing",
    "a records: recorded",
    "row: idle",
  ],
  "a late record does not wait for a claim that is not committed yet": [
    "a claims: has it",
    "the lease ends",
    "b begins",
    "b claims: has it",
    "a records: lost",
    "b commits",
    "row: b holds it",
  ],
  "a claim that is rolled back gives the expired row to nobody": [
    "a claims: has it",
    "the lease ends",
    "b begins",
    "b claims: has it",
    "b rolls back",
    "a records: lost",
    "b claims: has it",
    "row: b holds it",
  ],
  "two claims at once: one has the row, the other does not wait for it": [
    "a begins",
    "a claims: has it",
    "b claims: nothing",
    "a commits",
    "row: a holds it",
  ],
  "a record repeated while the first is still running waits for it and is lost": [
    "a claims: has it",
    "a begins",
    "a records: recorded",
    "b records for a: waits",
    "a commits",
    "b records for a: lost",
    "row: idle",
  ],
  "a record repeated because the first was rolled back is recorded": [
    "a claims: has it",
    "a begins",
    "a records: recorded",
    "b records for a: waits",
    "a rolls back",
    "b records for a: recorded",
    "row: idle",
  ],
  "a record that meets its own release waits for it and is lost": [
    "a claims: has it",
    "b begins",
    "b releases for a: 1 row",
    "a records: waits",
    "b commits",
    "a records: lost",
    "row: idle",
  ],
  "a record that meets a release that is rolled back is recorded": [
    "a claims: has it",
    "b begins",
    "b releases for a: 1 row",
    "a records: waits",
    "b rolls back",
    "a records: recorded",
    "row: idle",
  ],
  "a release that meets its own record waits for it and gives nothing back": [
    "a claims: has it",
    "a begins",
    "a records: recorded",
    "b releases for a: waits",
    "a commits",
    "b releases for a: 0 rows",
    "row: idle",
  ],
  "a released row is claimed by the next worker, and the late record is lost": [
    "a claims: has it",
    "a releases: 1 row",
    "b claims: has it",
    "a records: lost",
    "b records: recorded",
    "row: idle",
  ],
  "another worker's change of the same row keeps nothing from being recorded": [
    "a claims: has it",
    "b begins",
    "b sets needs_gas",
    "a records: waits",
    "b commits",
    "a records: recorded",
    "row: idle",
  ],
  "another worker's change that is rolled back changes nothing": [
    "a claims: has it",
    "b begins",
    "b sets needs_gas",
    "a records: waits",
    "b rolls back",
    "a records: recorded",
    "row: idle",
  ],
  "another worker's change of the same row keeps nothing from being released": [
    "a claims: has it",
    "b begins",
    "b sets needs_gas",
    "a releases: waits",
    "b commits",
    "a releases: 1 row",
    "row: idle",
  ],
  "a row that an open transaction refers to is recorded without waiting for it": [
    "a claims: has it",
    "b begins",
    "b refers to it",
    "a records: recorded",
    "b commits",
    "row: idle",
  ],
  "a row that an open transaction refers to is released without waiting for it": [
    "a claims: has it",
    "b begins",
    "b refers to it",
    "a releases: 1 row",
    "b commits",
    "row: idle",
  ],
  "a row that another worker is changing is claimed the next time": [
    "b begins",
    "b sets needs_gas",
    "a claims: nothing",
    "b commits",
    "a claims: has it",
    "row: a holds it",
  ],
  "a row pointed at another wallet while it is recorded is lost": [
    "a claims: has it",
    "b begins",
    "b points it at another wallet",
    "a records: waits",
    "b commits",
    "a records: lost",
    "row: idle",
  ],
  "a row deleted while it is recorded is refused as unknown": [
    "a claims: has it",
    "b begins",
    "b deletes it",
    "a records: waits",
    "b commits",
    "a records: refused",
    "row: gone",
  ],
};

const facts: Facts = {};
for (const [fact, transcript] of Object.entries(transcripts)) {
  facts[fact] = async (database) => {
    const stage = await openStage(database);
    assertEquals(await stage.play(transcript), transcript);
  };
}

facts["whatever the order, a row has one owner and what is told is what is written"] = async (
  database,
) => {
  const stage = await openStage(database);
  const old = ["a begins", "a records", "a commits"];
  const heir = ["b begins", "b claims", "b commits", "b records"];
  const clock = ["the lease ends"];
  const orders = shuffles(old, heir, clock);
  assertEquals(orders.length, 280);
  for (const order of orders) {
    await stage.reset();
    const said = await stage.play(["a claims", ...order, "row"]);
    assertEquals(illegal(said), undefined, said.join("\n"));
  }
};

/** What must never be seen at the end of old worker `a`, heir `b` and a lease that ends. */
function illegal(said: string[]): string | undefined {
  const last = (who: string) => said.findLast((line) => line.startsWith(`${who}:`))?.split(": ")[1];
  const [a, claimed, b, row] = [
    last("a records"),
    last("b claims"),
    last("b records"),
    last("row"),
  ];
  if (a === undefined || a === "waits" || b === "waits") return "a record was not answered";
  if (a === "recorded" && claimed === "has it") return "two owners of one round";
  if (a === "lost" && claimed === "nothing" && row !== "a held it") return "the row was dropped";
  if (b === "recorded" && claimed !== "has it") return "recorded without a claim";
  if (claimed === "has it" && b === "lost") return "the owner lost its row";
  if ((a === "recorded" || b === "recorded") !== (row === "idle")) return "told, but not written";
}

onPostgres("interleavings", facts);
