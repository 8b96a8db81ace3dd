import type { ReadError } from "./adapter.ts";
import { ChainFailure } from "./http.ts";
import { revertReason } from "./revert_reason.ts";
import type { Session } from "./session.ts";
import type { Outcome, Row } from "./sighting.ts";

/** The error of a row whose token gave no balance. */
export async function errorOf(
  outcome: Exclude<Outcome, { raw: bigint }>,
  { token }: Row,
  session: Session,
  signal: AbortSignal,
): Promise<ReadError> {
  switch (outcome.failed) {
    case "reverted": {
      const message = `balanceOf reverted: ${revertReason(outcome.data)}`;
      return { code: "call_reverted", message, scope: "row" };
    }
    case "no code":
      return noContract;
    case "wrong length": {
      const message = `balanceOf answered ${outcome.length} bytes: expected 32`;
      const badAnswer: ReadError = { code: "bad_token_response", message, scope: "contract" };
      if (token === undefined || outcome.length > 0) return badAnswer;
      try {
        // A call to an address without code succeeds, too, and answers as little.
        return await session.hasCode(token, signal) ? badAnswer : noContract;
      } catch (failure) {
        if (failure instanceof ChainFailure) return failure.error;
        throw failure;
      }
    }
    case "too little gas":
    case "not tried": {
      const message = "balanceOf used up its gas, or failed without giving a reason";
      return { code: "out_of_gas", message, scope: "contract" };
    }
  }
}

const noContract: ReadError = {
  code: "no_contract",
  message: "there is no contract at the token's address",
  scope: "contract",
};
