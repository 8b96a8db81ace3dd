/** A report for people. */
import { bold, cyan, dim, green, red, yellow } from "@std/fmt/colors";
import type { Finding, Report } from "./examine.ts";

/** Of one kind no more are written out; `--json` has them all. */
const shown = 5;

const signs: Record<Finding["severity"], () => string> = {
  error: () => red("✗"),
  warning: () => yellow("!"),
  info: () => cyan("i"),
};

/** What has to be mended, the worst first and each kind together, and how. */
export function writeReport({ project, findings, examined, healthy }: Report): string {
  const { chains, assets } = examined;
  const what = `${count(chains, "chain")}, ${
    count(assets, "asset")
  }, the function and the database`;
  const head = `${bold("Balance Sync doctor")}  ${project}`;
  if (healthy) {
    return `${head}\n\n${green("✓")} Nothing keeps rows from being synced ${dim(`(${what})`)}`;
  }
  const kinds = Map.groupBy(findings, ({ finding, severity }) => `${severity} ${finding}`);
  return [
    head,
    ...[...kinds.values()].map(writeKind),
    `${summary(findings)} ${dim(`in ${what}`)}\n` +
    dim("SQL is for the owner of the database: the dashboard's SQL editor, or psql"),
  ].join("\n\n");
}

function writeKind(kind: Finding[]): string {
  const { severity, finding } = kind[0]!;
  const affected = kind.reduce((sum, one) => sum + one.affected, 0);
  const many = affected > 1 ? dim(` × ${affected}`) : "";
  const more = kind.length - shown;
  return [
    `${signs[severity]()} ${bold(finding)}${many}`,
    ...kind.slice(0, shown).flatMap(({ detail, remedy }) => [
      `  ${detail}`,
      ...remedy.split("\n").map((line, i) => `  ${i === 0 ? "→" : " "} ${green(line)}`),
    ]),
    ...more > 0 ? [dim(`  and ${more} more: --json has all`)] : [],
  ].join("\n");
}

function summary(findings: Finding[]): string {
  const severities = ["error", "warning", "info"] as const;
  const parts = severities.flatMap((severity) => {
    const found = findings.filter((one) => one.severity === severity).length;
    return found > 0 ? [severity === "info" ? `${found} to know` : count(found, severity)] : [];
  });
  return parts.join(", ");
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
