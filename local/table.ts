/** Text in columns, for a terminal. */
import { stripAnsiCode } from "@std/fmt/colors";

export type Cell = string | { right: string };

/** Aligned lines, two spaces between columns. Colour codes take no room. */
export function layOut(rows: Cell[][]): string[] {
  const text = (cell: Cell) => typeof cell === "string" ? cell : cell.right;
  const width = (cell: Cell) => stripAnsiCode(text(cell)).length;
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, width(cell)));
  }
  return rows.map((row) =>
    row.map((cell, i) => {
      const space = " ".repeat(widths[i]! - width(cell));
      return typeof cell === "string" ? cell + space : space + cell.right;
    }).join("  ").trimEnd()
  );
}
