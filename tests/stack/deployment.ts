/** A deployment by the real CLI, as far as the Management API sees it. */
import { supabaseCli } from "./npm_binary.ts";

const root = new URL("../../", import.meta.url);

/** Of the project that is deployed to: twenty letters, as the platform gives them. */
export const projectRef = "abcdefghijklmnopqrst";

/** A stand-in of the Management API, and what the CLI has sent to it. */
export interface ManagementApi extends AsyncDisposable {
  /** Arguments that make the CLI talk to it. */
  profile: string[];
  /** Requests, in order. */
  requests: string[];
  metadata: Record<string, unknown>;
  /** Uploaded files by their name in the upload. */
  files: Map<string, File>;
  /** What `secrets set` has set. */
  secrets: Record<string, string>;
}

export interface Deployment extends Pick<ManagementApi, "requests" | "metadata" | "files"> {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs README's `supabase functions deploy` on a copy of what it needs, against a loopback API. */
export async function deploy(): Promise<Deployment> {
  await using project = await copyProject();
  await using api = await startManagementApi();
  const { code, stdout, stderr } = await new Deno.Command(await supabaseCli(), {
    args: [
      ...["functions", "deploy", "balance-sync", "--use-api", "--yes"],
      ...[`--remote=${projectRef}`, ...api.profile],
    ],
    cwd: project.folder,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "", HOME: project.folder, ...cliEnv },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { ...api, code, stdout: text(stdout), stderr: text(stderr) };
}

/** A token of the right shape, and no telemetry. */
export const cliEnv = {
  SUPABASE_ACCESS_TOKEN: `sbp_${"0".repeat(40)}`,
  SUPABASE_TELEMETRY_DISABLED: "1",
  DO_NOT_TRACK: "1",
};

/** Takes uploads and secrets; knows of nothing else. */
export async function startManagementApi(): Promise<ManagementApi> {
  const api: Omit<ManagementApi, typeof Symbol.asyncDispose> = {
    profile: [],
    requests: [],
    metadata: {},
    files: new Map(),
    secrets: {},
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    api.requests.push(`${request.method} ${pathname}${search}`);
    if (request.method === "POST" && pathname.endsWith("/secrets")) {
      for (const { name, value } of await request.json()) api.secrets[name] = value;
      return new Response(null, { status: 201 });
    }
    if (!pathname.endsWith("/functions/deploy")) {
      return Response.json({ message: "Not Found" }, { status: 404 });
    }
    for (const [name, part] of await request.formData()) {
      if (part instanceof File) api.files.set(part.name, part);
      else if (name === "metadata") Object.assign(api.metadata, JSON.parse(part));
    }
    const deployed = {
      id: crypto.randomUUID(),
      slug: "balance-sync",
      status: "ACTIVE",
      version: 1,
    };
    return Response.json({ ...deployed, ...api.metadata }, { status: 201 });
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const file = await Deno.makeTempFile({ suffix: ".yaml" });
  await Deno.writeTextFile(
    file,
    `name: loopback\napi_url: ${url}\ndashboard_url: ${url}\nproject_host: localhost\n`,
  );
  return {
    ...api,
    profile: ["--profile", file],
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(file);
    },
  };
}

/** What the CLI needs of the repository; it leaves files of its own there. */
export async function copyProject(): Promise<AsyncDisposable & { folder: string }> {
  const folder = await Deno.makeTempDir();
  for (const name of ["deno.json", "import_map.json", "functions", "supabase"]) {
    await copy(new URL(name, root).pathname, `${folder}/${name}`);
  }
  return {
    folder,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}
