/** The function, and the platform's warning that the isolate is about to end, when the test says so. */
import "../../functions/balance-sync/index.ts";

await fetch(Deno.env.get("UNLOAD_WHEN_ANSWERED")!);
dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "cpu" } }));
