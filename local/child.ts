/** A child process that cannot outlive us. */

/**
 * The child runs under a shell that waits for the end of its own standard input, which we hold open:
 * however we end, killed included, the system closes it and the shell ends the child.
 * Ctrl-C reaches the whole process group and is ours to answer, so the shell and the child ignore it.
 * It is killed, not asked: a request may come too early to be heard, and nothing here has a state to save.
 * The shell lets go of both outputs, so that they end when the child ends by itself.
 */
const KEEPER =
  `trap '' INT HUP QUIT; trap : TERM; "$@" </dev/null & exec >/dev/null 2>&1; read -r _; kill -9 $!; wait $!`;

export interface Child extends AsyncDisposable {
  stdout: ReadableStream<string>;
  stderr: ReadableStream<string>;
}

/** Starts `command`; both outputs are piped and have to be read. Disposing ends it and waits for its end. */
export function startChild(
  command: string,
  options: {
    args: string[];
    env?: Record<string, string>;
    clearEnv?: boolean;
    cwd?: string;
    uid?: number;
    gid?: number;
  },
): Child {
  const { args, ...rest } = options;
  // Windows has no such shell, nor does a package of anvil's reach us there: no keeper, only dispose
  const kept = Deno.build.os !== "windows";
  const child = new Deno.Command(kept ? "/bin/sh" : command, {
    ...rest,
    args: kept ? ["-c", KEEPER, "sh", command, ...args] : args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const text = (stream: ReadableStream<Uint8Array<ArrayBuffer>>) =>
    stream.pipeThrough(new TextDecoderStream());
  return {
    stdout: text(child.stdout),
    stderr: text(child.stderr),
    async [Symbol.asyncDispose]() {
      await child.stdin.close().catch(() => {});
      if (!kept) child.kill();
      await child.status;
    },
  };
}
