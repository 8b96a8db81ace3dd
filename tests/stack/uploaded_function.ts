/** The function as it was uploaded, on the Deno that the hosted runtime is compatible with. */
import { type Child, startChild } from "../../local/child.ts";
import type { Deployment } from "./deployment.ts";
import { hostedDeno } from "./npm_binary.ts";

export interface UploadedFunction extends AsyncDisposable {
  url: string;
  /** What it wrote, line by line. */
  said: string[];
}

/** As the hosted runtime, this decides where Deno.serve listens: Deno 2.1 knows no variable for it. */
const host = `
const { serve } = Deno;
Deno.serve = (handler) => serve({ hostname: "127.0.0.1", port: 0 }, handler);
console.log("Deno " + Deno.version.deno);
await import(Deno.args[0]);
`;

/** Starts what is in the upload, with nothing beside it, in this environment. */
export async function startUploaded(
  { files, metadata }: Deployment,
  env: Record<string, string>,
): Promise<UploadedFunction> {
  const folder = await Deno.makeTempDir();
  const source = `${folder}/source`;
  for (const [name, file] of files) {
    const path = `${source}/${name}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(path, new Uint8Array(await file.arrayBuffer()));
  }
  await Deno.writeTextFile(`${folder}/host.js`, host);

  const child = startChild(await hostedDeno(), {
    args: [
      ...["run", "--allow-net", "--allow-env", "--allow-sys", "--allow-read", "--no-lock"],
      ...["--no-config", "--node-modules-dir=none"],
      `--import-map=${source}/${metadata.import_map_path}`,
      `${folder}/host.js`,
      `file://${source}/${metadata.entrypoint_path}`,
    ],
    cwd: source,
    env: { ...env, NO_COLOR: "1" },
  });
  const said: string[] = [];
  const url = Promise.withResolvers<string>();
  const listen = async (output: Child["stdout"]) => {
    let rest = "";
    for await (const chunk of output) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const found = /^Listening on (http:\/\/\S+?)\/$/.exec(line.trim())?.[1];
        if (found) url.resolve(found);
        else said.push(line);
      }
    }
  };
  const heard = Promise.all([listen(child.stdout), listen(child.stderr)])
    .then(() => url.reject(new Error(`Cannot start the upload: ${said.join("\n")}`)));

  const stop = async () => {
    await child[Symbol.asyncDispose]();
    await heard;
    await Deno.remove(folder, { recursive: true });
  };
  try {
    return { url: await url.promise, said, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
