/**
 * Answers with one JSON line per step of `work`, and its result as the last line. The answer begins
 * with the first step: work that fails before it rejects here, and can still be given a status.
 */
export async function stream<Step>(
  work: (tell: (step: Step) => void) => Promise<unknown>,
): Promise<Response> {
  const encoder = new TextEncoder();
  const begun = Promise.withResolvers<void>();
  let lines: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      lines = controller;
    },
    cancel() {
      // The caller hung up; the work goes on untold.
      lines = undefined;
    },
  });
  const tell = (line: unknown) => {
    lines?.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
    begun.resolve();
  };

  const done = work(tell).then(tell);
  done.then(() => lines?.close(), (error) => lines?.error(error));
  await Promise.race([begun.promise, done]);
  return new Response(body, {
    headers: { "content-type": "application/x-ndjson", "cache-control": "no-store" },
  });
}
