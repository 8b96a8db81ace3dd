/**
 * Why a contract reverted, in words: of `Error(string)`, `Panic(uint256)` or a custom error (hex
 * without 0x; it may be cut short). The words are the contract's, so only printable ones are kept.
 */
export function revertReason(data: string): string {
  const selector = data.slice(0, 8);
  if (selector === "08c379a0") {
    const length = parseInt(data.slice(72 + 56, 72 + 64), 16) || 0;
    const text = data.slice(136, 136 + 2 * Math.min(length, 80));
    const bytes = Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
    const words = new TextDecoder().decode(bytes).replace(/\p{C}|\uFFFD/gu, "").trim();
    if (words !== "") return words;
  }
  if (selector === "4e487b71") return `panic 0x${data.slice(-2)}`;
  if (selector.length < 8 || selector === "08c379a0" || selector === "00000000") {
    return "no reason given";
  }
  return `custom error 0x${selector}`;
}
