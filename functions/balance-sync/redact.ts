/**
 * The one choke point for text that leaves the function: log lines, responses and `last_error` all
 * pass `redact`. Errors are built without secrets in the first place; this is the second lock.
 */
const hidden = new Set<string>();

/** Remembers secrets that must not be written as they are; too short ones would only shred text. */
export function hide(...secrets: (string | undefined)[]): void {
  for (const secret of secrets) {
    if (secret === undefined || secret.length < 8) continue;
    hidden.add(secret);
    hidden.add(encodeURIComponent(secret));
    hidden.add(JSON.stringify(secret).slice(1, -1));
  }
}

const url = /\b(https?|wss?|postgres(?:ql)?):\/\/([^\s"'<>\\]*)/gi;
const header =
  /\b([\w-]*(?:api-?key|authorization|secret|password)["']?\s*[:=]\s*["']?)((?:bearer|basic)\s+)?[^\s"',;&}]+/gi;
const bearer = /\b(bearer|basic)\s+[\w+/=.~-]{8,}/gi;
const key = /\b(?:sb_secret_|sb_publishable_|eyJ)[\w.-]{8,}/g;

/** The text without URL paths, queries, user-info, keys or any secret `hide` was told of. */
export function redact(text: string): string {
  let clean = text.replace(url, (_match, scheme: string, rest: string) => {
    const [authority = ""] = rest.split(/[/?#]/);
    const host = authority.slice(authority.lastIndexOf("@") + 1);
    return `${scheme}://${host}${rest.length > authority.length ? "/[redacted]" : ""}`;
  });
  // Longest first: a secret may contain another one.
  for (const secret of [...hidden].sort((a, b) => b.length - a.length)) {
    clean = clean.replaceAll(secret, "[redacted]");
  }
  return clean
    .replace(header, (_match, name: string) => `${name}[redacted]`)
    .replace(bearer, "$1 [redacted]")
    .replace(key, "[redacted]");
}
