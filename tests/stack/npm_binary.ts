/**
 * A binary that npm ships in a package per platform. Importing the package's manifest makes Deno
 * download, verify and cache the whole of it.
 */
export async function npmBinary(name: string, version: string, path: string): Promise<string> {
  const specifier = `npm:${name}@${version}`;
  await import(`${specifier}/package.json`, { with: { type: "json" } });
  const file = Deno.build.os === "windows" ? `${path}.exe` : path;
  return new URL(file, import.meta.resolve(`${specifier}/package.json`)).pathname;
}

/** The Supabase CLI. */
export function supabaseCli(): Promise<string> {
  const os = { linux: "linux", darwin: "darwin", windows: "windows" }[Deno.build.os as "linux"];
  const arch = Deno.build.arch === "x86_64" ? "x64" : "arm64";
  return npmBinary(`@supabase/cli-${os}-${arch}`, "3.1.0", "bin/supabase");
}

/** The Deno that the hosted runtime is compatible with. */
export function hostedDeno(): Promise<string> {
  const os = { linux: "linux", darwin: "darwin", windows: "win32" }[Deno.build.os as "linux"];
  const arch = Deno.build.arch === "x86_64" ? "x64" : "arm64";
  const libc = os === "linux" ? "-glibc" : "";
  return npmBinary(`@deno/${os}-${arch}${libc}`, "2.1.4", "deno");
}
