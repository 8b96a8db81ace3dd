import { conformance } from "./conformance.ts";
import { startEvmWorld } from "./evm_world.ts";

const multicall3 = "0xcA11bde05977b3631167028862bE2a173976CA11";

conformance("EVM", () => startEvmWorld());

conformance(
  "EVM through a Multicall3 that the operator names",
  () => startEvmWorld({ settings: { multicall_address: multicall3 } }),
);
