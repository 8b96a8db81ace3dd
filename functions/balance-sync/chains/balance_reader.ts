/**
 * The question and the answer of balance_reader.yul, which a node runs as constructor code in one
 * `eth_call`. Hex without 0x throughout.
 */
import type { Outcome, Row, Sighting } from "./sighting.ts";

/** solc's output for balance_reader.yul; a test compiles it again and compares. */
const code = [
  "6101e2600481601c3960005190439160643b6101b2575b813803908160800193828460803946855260a08301524260",
  "c08301526370a0823160e01b60005260e08201926004019060038102603f600683901b045b38841061007657505050",
  "50602082607f198101608060025afa509003605f190190f35b9091929460289060208760403960405160601c602060",
  "14890160403960405160601c811561019c578838039062030d4060c8607f19848c88030101028701015a1061018b57",
  "6004525a866020604060246000878dfa915a900360021b101561017a571561012c575060203d14610115573b3d1715",
  "61010757806003602192533d600182015201955b01929190610053565b8060026001925301956100fe565b50806000",
  "60219253604051600182015201956100fe565b90506002913d9160648311610171575b615eec898303909101607f19",
  "0111610168575b600181538160018201538160008483013e0101956100fe565b6000915061014f565b606492506101",
  "3c565b5050508060046001925301956100fe565b5050508060056001925301956100fe565b82915060006021935331",
  "600182015201956100fe565b63a3b1b31d60e01b600052602060006004816064620186a0fa156100165760203d0361",
  "001657600051925061001656",
].join("");

/** An answer is stored as code, of which there may be 24,576 bytes: at most 740 rows. */
export const maxRows = 700;

/** The call's data: the code, the gas each balanceOf may use, the rows. */
export function encodeQuestion(rows: Row[], allowance: number): string {
  let question = allowance.toString(16).padStart(8, "0");
  for (const { token, owner } of rows) question += (token ?? nativeToken) + owner;
  return question;
}

export function callData(question: string): string {
  return code + question;
}

/** What the node saw, or a RangeError when this is not the whole, unaltered answer to the question. */
export async function decodeAnswer(answer: string, question: string): Promise<Sighting> {
  const end = answer.length - 64;
  if (end < 192 || await sha256(question + answer.slice(0, end)) !== answer.slice(end)) {
    throw new RangeError("the digest is not that of this question and answer");
  }
  let at = 0;
  const take = (characters: number) => {
    if (at + characters > end) throw new RangeError("the answer is cut short");
    return answer.slice(at, at += characters);
  };
  const [chainId, block, timestamp] = [take(64), take(64), take(64)].map((word) =>
    BigInt("0x" + word)
  );
  const outcomes: Outcome[] = [];
  for (let i = (question.length - 8) / 80; i > 0; i--) outcomes.push(outcomeOf(take));
  if (at !== end) throw new RangeError("the answer has trailing bytes");
  return { chainId: chainId!, block: block!, timestamp: timestamp!, outcomes };
}

function outcomeOf(take: (characters: number) => string): Outcome {
  switch (take(2)) {
    case "00":
      return { raw: BigInt("0x" + take(64)) };
    case "01":
      return { failed: "reverted", data: take(2 * parseInt(take(2), 16)) };
    case "02":
      return { failed: "no code" };
    case "03":
      return { failed: "wrong length", length: Number("0x" + take(64)) };
    case "04":
      return { failed: "too little gas" };
    case "05":
      return { failed: "not tried" };
    default:
      throw new RangeError("a row has an unknown status");
  }
}

const nativeToken = "0".repeat(40);

async function sha256(hex: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf(hex)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function bytesOf(hex: string): BufferSource {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = nibble(hex.charCodeAt(2 * i)) << 4 | nibble(hex.charCodeAt(2 * i + 1));
  }
  return bytes;
}

/** Of a lower-case hex digit. */
function nibble(character: number): number {
  return character < 58 ? character - 48 : character - 87;
}
