/** Random choices that a seed repeats (mulberry32): a failing case can be run again. */
export interface Random {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number;
  pick<T>(items: readonly T[]): T;
  /** So many bytes as hex without 0x. */
  hex(bytes: number): string;
}

export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = state + 0x6d2b79f5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return (mixed ^ mixed >>> 14) >>> 0;
  };
  const below = (limit: number) => Math.floor(next() / 2 ** 32 * limit);
  return {
    below,
    pick: (items) => items[below(items.length)]!,
    hex: (bytes) =>
      Array.from({ length: bytes }, () => below(256).toString(16).padStart(2, "0")).join(""),
  };
}
