/**
 * What is slow to make and never changes is kept in the user's cache folder: compiled contracts,
 * code read out of a binary. A cache that cannot be read or written only costs time.
 */
import { dirname, join } from "node:path";
import process from "node:process";

function cacheFolder(): string | undefined {
  const { LOCALAPPDATA, XDG_CACHE_HOME, HOME } = process.env;
  const root = LOCALAPPDATA ?? XDG_CACHE_HOME ??
    (HOME && join(HOME, Deno.build.os === "darwin" ? "Library/Caches" : ".cache"));
  return root ? join(root, "balance-sync") : undefined;
}

/** The text kept under `name`, made and kept on the first call. `name` must change when the text would. */
export async function cached(name: string, make: () => Promise<string>): Promise<string> {
  const folder = cacheFolder();
  const file = folder && join(folder, name);
  if (file) {
    try {
      return await Deno.readTextFile(file);
    } catch {
      // not made yet
    }
  }
  const text = await make();
  if (file) {
    try {
      await Deno.mkdir(dirname(file), { recursive: true });
      // written beside and renamed: a reader never sees half a file
      const draft = `${file}.${crypto.randomUUID()}`;
      await Deno.writeTextFile(draft, text);
      await Deno.rename(draft, file);
    } catch {
      // a read-only home
    }
  }
  return text;
}
