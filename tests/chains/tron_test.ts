import { conformance } from "./conformance.ts";
import { startTronWorld } from "./tron_world.ts";

conformance("TRON", () => startTronWorld());

conformance(
  "TRON through Multicall3",
  () => startTronWorld({ constructorCode: false }),
);

conformance(
  "TRON one call at a time",
  () => startTronWorld({ constructorCode: false, multicall3: false }),
);
