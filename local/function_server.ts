/** The function in a process of its own, with the environment the platform would give it. */
import { startChild } from "./child.ts";

const ENTRYPOINT = new URL("../functions/balance-sync/index.ts", import.meta.url);

export interface FunctionServer extends AsyncDisposable {
  url: string;
}

/**
 * Starts the function on a free port. Unlike the platform's isolates the process lives on between
 * requests, so background work needs no EdgeRuntime.waitUntil. `onLog` gets what it writes, line by line.
 */
export async function startFunction(
  env: Record<string, string>,
  onLog: (line: string) => void = () => {},
  entrypoint = ENTRYPOINT,
): Promise<FunctionServer> {
  const child = startChild(Deno.execPath(), {
    args: ["run", "--allow-net", "--allow-env", "--allow-sys", entrypoint.href],
    clearEnv: true,
    env: { ...inherited(), ...env, DENO_SERVE_ADDRESS: "tcp:127.0.0.1:0", NO_COLOR: "1" },
  });

  const said: string[] = [];
  const started = Promise.withResolvers<string>();
  const listen = async (lines: ReadableStream<string>) => {
    for await (const line of lines) {
      const url = /^Listening on (http:\/\/\S+?)\/? *$/.exec(line)?.[1];
      if (url) started.resolve(url);
      else {
        said.push(line);
        onLog(line);
      }
    }
  };
  const heard = Promise.all([child.stdout, child.stderr].map((text) => listen(lines(text))))
    .then(() => started.reject(new Error(`Cannot start the function: ${said.join("\n")}`)));

  try {
    return {
      url: await started.promise,
      async [Symbol.asyncDispose]() {
        await child[Symbol.asyncDispose]();
        await heard;
      },
    };
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
}

/** What a process needs to find Deno's cache and reach a registry; no more of ours is its business. */
function inherited(): Record<string, string> {
  const names = /^(PATH|HOME|TMPDIR|DENO_DIR|XDG_CACHE_HOME|NPM_CONFIG_.*|SSL_CERT_.*|DENO_CERT)$/i;
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => names.test(name)),
  );
}

function lines(text: ReadableStream<string>): ReadableStream<string> {
  let rest = "";
  return text.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        const [first = "", ...more] = chunk.split("\n");
        rest += first;
        for (const line of more) {
          controller.enqueue(rest);
          rest = line;
        }
      },
      flush(controller) {
        if (rest) controller.enqueue(rest);
      },
    }),
  );
}
