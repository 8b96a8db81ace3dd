/** One line of a benchmark: ours beside a peer's, measured in the same run. */
export interface Figure {
  name: string;
  ours: number;
  peer: number;
  /** ours / peer. */
  ratio: number;
  unit: string;
  /** What the ratio must not exceed, or must reach where more is better. */
  target: number;
  moreIsBetter: boolean;
}

export function figure(
  name: string,
  ours: number,
  peer: number,
  unit: string,
  target: number,
  { moreIsBetter = false } = {},
): Figure {
  return { name, ours, peer, ratio: ours / peer, unit, target, moreIsBetter };
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

/** Prints a figure on one line; a ratio that misses its target is marked. */
export function show({ name, ours, peer, ratio, unit, target, moreIsBetter }: Figure): void {
  const round = (value: number) => Number(value.toPrecision(3)).toString();
  const verdict = (moreIsBetter ? ratio >= target : ratio <= target) ? "ok" : "MISSED";
  const ratios = `ratio ${round(ratio)} (target ${round(target)}) ${verdict}`;
  console.log(`${name.padEnd(64)} ${round(ours)} : ${round(peer)} ${unit}   ${ratios}`);
}
