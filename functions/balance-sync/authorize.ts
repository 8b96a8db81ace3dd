/** Who may call: the values a header may have. Both empty: nobody. */
export interface Callers {
  secrets: string[];
  secretKeys: string[];
}

/**
 * True when the request carries a secret the function knows. Each presented value is compared with
 * each accepted one, match or not, so the time taken says nothing about either.
 */
export async function authorize(request: Request, callers: Callers): Promise<boolean> {
  const secret = request.headers.get("x-balance-sync-secret");
  const apikey = request.headers.get("apikey");
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];

  const matches = await Promise.all([
    ...callers.secrets.map((accepted) => sameText(secret, accepted)),
    ...callers.secretKeys.map((accepted) => sameText(apikey, accepted)),
    ...callers.secretKeys.map((accepted) => sameText(bearer, accepted)),
  ]);
  return matches.includes(true);
}

/**
 * Compares MACs under a key made for this comparison: Web Crypto verifies those in constant time,
 * and equal MACs mean equal texts.
 */
async function sameText(presented: string | null | undefined, accepted: string): Promise<boolean> {
  if (!presented) return false;
  const encoder = new TextEncoder();
  const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
    "verify",
  ]) as CryptoKey;
  const mac = await crypto.subtle.sign("HMAC", key, encoder.encode(presented));
  return await crypto.subtle.verify("HMAC", key, mac, encoder.encode(accepted));
}
