import { hide } from "../redact.ts";
import type { Chain } from "./adapter.ts";
import { ChainFailure } from "./failure.ts";

/** One node of a chain, with what this run has learnt about it. */
export interface Node {
  /** What messages call it, for its URL is a secret: "endpoint 1 of 2". */
  alias: string;
  url: URL;
  headers: Headers;
  /** Why it is not asked again in this run. */
  out?: ChainFailure;
  /** A rate limit asked for silence until then (performance.now). */
  quietUntil: number;
  /** When it last gave an answer that its family accepted. */
  answeredAt: number;
}

/** The chain's nodes in the order they are asked: `rpc_url`, then `fallback_rpc_urls`. */
export function nodesOf({ rpc_url, settings }: Chain): Node[] {
  const urls: unknown[] = [rpc_url, ...settings.fallback_rpc_urls ?? []];
  return urls.map((text, i) => {
    const named = i === 0 ? "rpc_url" : `fallback_rpc_urls[${i - 1}]`;
    const url = parseUrl(text, named);
    const headers = headersOf(settings.rpc_headers ?? {});
    if (url.username !== "" && !headers.has("authorization")) {
      headers.set("authorization", basicAuthorization(url));
    }
    url.username = url.password = "";
    return {
      alias: `endpoint ${i + 1} of ${urls.length}`,
      url,
      headers,
      quietUntil: -Infinity,
      answeredAt: -Infinity,
    };
  });
}

function parseUrl(text: unknown, named: string): URL {
  const url = typeof text === "string" ? URL.parse(text.trim()) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new ChainFailure("invalid_chain_settings", `${named} must be an http or https URL`);
  }
  hide(url.username, url.password, url.search.slice(1), ...url.searchParams.values());
  hide(...url.pathname.split("/").filter((segment) => !/^[a-z]*$/.test(segment)));
  return url;
}

/** Every header goes to every endpoint of the chain, so only hosts trusted with them belong there. */
function headersOf(settings: Record<string, string | null>): Headers {
  const headers = new Headers({ "content-type": "application/json", accept: "application/json" });
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value !== "string") {
      const message = `rpc_headers: the secret of header "${name}" does not exist in Vault`;
      throw new ChainFailure("invalid_chain_settings", message);
    }
    hide(value, value.replace(/^\S+\s+/, ""));
    try {
      headers.set(name, value);
    } catch {
      const message = `rpc_headers: header "${name}" has a name or value that HTTP does not allow`;
      throw new ChainFailure("invalid_chain_settings", message);
    }
  }
  return headers;
}

function basicAuthorization({ username, password }: URL): string {
  let pair = `${username}:${password}`;
  try {
    pair = decodeURIComponent(pair);
  } catch {
    // A lone % is taken as it stands.
  }
  const encoded = btoa(String.fromCharCode(...new TextEncoder().encode(pair)));
  hide(encoded);
  return `Basic ${encoded}`;
}
