import { conformance } from "./conformance.ts";
import { startEvmWorld } from "./evm_world.ts";

conformance("EVM", () => startEvmWorld());

conformance("EVM through Multicall3", () => startEvmWorld({ constructorCode: false }));

conformance(
  "EVM by plain JSON-RPC",
  () => startEvmWorld({ constructorCode: false, multicall3: false }),
);
