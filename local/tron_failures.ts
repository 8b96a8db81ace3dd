/** Every way a TRON node or TronGrid is known to refuse, as `TronNode.fail` takes it. */

/** Stands between a request and its answer: asks for the true answer, or gives one of its own. */
export type Failure = (
  answer: () => Promise<Response>,
  request: { path: string; body: string },
) => Response | Promise<Response>;

const JSON_TYPE = "application/json; charset=utf-8";

/** The same answer to every request. A JSON body ends in a newline, as java-tron prints it. */
export function answerWith(
  body: unknown,
  { status = 200, type = JSON_TYPE }: { status?: number; type?: string } = {},
): Failure {
  const text = typeof body === "string" ? body : `${JSON.stringify(body)}\n`;
  return () => new Response(text, { status, headers: { "content-type": type } });
}

/** triggerconstantcontract failed in the node; `message` is the Java exception's, in hex. */
export function otherError(message: string): Failure {
  return answerWith({ result: { code: "OTHER_ERROR", message: toHex(message) } });
}

export function toHex(text: string): string {
  return new TextEncoder().encode(text).toHex();
}

const PROGRAM = "class org.tron.core.vm.program.Program$";
const SUSPENDED =
  "The key exceeds the frequency limit(15), and the query server is suspended for 30s";

export const failures = {
  rateLimited200: answerWith({ Error: SUSPENDED }),
  rateLimited403: answerWith({ Success: false, Error: SUSPENDED, StatusCode: 403 }, {
    status: 403,
  }),
  rateLimited429: answerWith({
    Error: "request rate exceeded the allowed_rps(10), and the query server is suspended for 5 s",
  }, { status: 429 }),
  rateLimited503: answerWith({ Success: false, Error: SUSPENDED, StatusCode: 503 }, {
    status: 503,
  }),
  lackOfResources: answerWith({
    Error: "class java.lang.IllegalAccessException : lack of computing resources",
  }),
  apiDisabled: answerWith({ Error: "this API is unavailable due to config" }, { status: 404 }),
  liteNode: answerWith("this API is closed because this node is a lite fullnode"),
  bodyTooLarge: answerWith("<h1>Request Entity Too Large</h1>", {
    status: 413,
    type: "text/html",
  }),
  noConstantCalls: answerWith({
    result: {
      code: "CONTRACT_VALIDATE_ERROR",
      message: toHex("this node does not support constant"),
    },
  }),
  cpuTimeout: otherError(
    `${PROGRAM}OutOfTimeException : CPU timeout for 'PUSH1' operation executing`,
  ),
  outOfEnergy: otherError(
    `${PROGRAM}OutOfEnergyException : Not enough energy for 'SLOAD' operation executing: ` +
      "curInvokeEnergyLimit[100000000], curOpEnergy[50], usedEnergy[99999990]",
  ),
  html: answerWith("<!doctype html><html><body>502 Bad Gateway</body></html>", {
    type: "text/html",
  }),
  empty: answerWith(""),
  emptyArray: answerWith([]),
  emptyObject: answerWith({}),
  serverError: answerWith("Internal Server Error", { status: 500, type: "text/plain" }),
  /** Accepts the request and never answers. */
  silence: () => new Promise<Response>(() => {}),
} satisfies Record<string, Failure>;
