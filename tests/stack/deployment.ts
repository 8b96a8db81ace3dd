/** A deployment by the real CLI, as far as the Management API sees it. */
import { supabaseCli } from "./npm_binary.ts";

const root = new URL("../../", import.meta.url);

export interface Deployment {
  code: number;
  stdout: string;
  stderr: string;
  /** Requests to the Management API, in order. */
  requests: string[];
  metadata: Record<string, unknown>;
  /** Uploaded files by their name in the upload. */
  files: Map<string, File>;
}

/** Runs README's `supabase functions deploy` on a copy of what it needs, against a loopback API. */
export async function deploy(): Promise<Deployment> {
  const folder = await Deno.makeTempDir();
  const requests: string[] = [];
  const files = new Map<string, File>();
  let metadata: Record<string, unknown> = {};

  const api = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    requests.push(`${request.method} ${pathname}${search}`);
    if (!pathname.endsWith("/functions/deploy")) {
      return Response.json({ message: "Not Found" }, { status: 404 });
    }
    for (const [name, part] of await request.formData()) {
      if (part instanceof File) files.set(part.name, part);
      else if (name === "metadata") metadata = JSON.parse(part);
    }
    const deployed = {
      id: crypto.randomUUID(),
      slug: "balance-sync",
      status: "ACTIVE",
      version: 1,
    };
    return Response.json({ ...deployed, ...metadata }, { status: 201 });
  });

  try {
    for (const name of ["deno.json", "import_map.json", "functions", "supabase"]) {
      await copy(new URL(name, root).pathname, `${folder}/${name}`);
    }
    const url = `http://127.0.0.1:${api.addr.port}`;
    const profile = {
      name: "loopback",
      api_url: url,
      dashboard_url: url,
      project_host: "localhost",
    };
    const yaml = Object.entries(profile).map(([key, value]) => `${key}: ${value}\n`).join("");
    await Deno.writeTextFile(`${folder}/profile.yaml`, yaml);

    const { code, stdout, stderr } = await new Deno.Command(await supabaseCli(), {
      args: [
        ...["functions", "deploy", "balance-sync", "--use-api", "--yes"],
        ...["--remote=abcdefghijklmnopqrst", "--profile", `${folder}/profile.yaml`],
      ],
      cwd: folder,
      clearEnv: true,
      env: {
        PATH: Deno.env.get("PATH") ?? "",
        HOME: folder,
        SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
        SUPABASE_TELEMETRY_DISABLED: "1",
        DO_NOT_TRACK: "1",
      },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr), requests, metadata, files };
  } finally {
    await api.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}
