/** A report for people. */
import { bold, cyan, dim, green, red, yellow } from "@std/fmt/colors";
import type { Finding, Report } from "./examine.ts";

const signs: Record<Finding["severity"], () => string> = {
  error: () => red("✗"),
  warning: () => yellow("!"),
  info: () => cyan("i"),
};

/** What has to be mended, the worst first, and how. */
export function writeReport({ project, findings, examined, healthy }: Report): string {
  const { chains, assets } = examined;
  const what = `${count(chains, "chain")}, ${
    count(assets, "asset")
  }, the function and the database`;
  const head = `${bold("Balance Sync doctor")}  ${project}`;
  if (healthy) {
    return `${head}\n\n${green("✓")} Nothing keeps rows from being synced ${dim(`(${what})`)}`;
  }
  return [
    head,
    ...findings.map(writeFinding),
    `${summary(findings)} ${dim(`in ${what}`)}`,
  ].join("\n\n");
}

function writeFinding({ finding, severity, detail, affected, remedy }: Finding): string {
  const many = affected > 1 ? dim(` × ${affected}`) : "";
  return [
    `${signs[severity]()} ${bold(finding)}${many}`,
    `  ${detail}`,
    ...remedy.split("\n").map((line, i) => `  ${i === 0 ? "→" : " "} ${green(line)}`),
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
