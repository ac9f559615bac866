import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Row } from "./mesh.js";

const file = "docs/benchmarks.md";
const head = `# Benchmarks

Written by \`npm run bench\`; do not edit. Ratios hold from machine to machine, absolutes don't. A suite's table is replaced when that suite is run.
`;

/** Replaces one suite's section of docs/benchmarks.md, keeping the others. */
export function writeReport(suite: string, machine: string, rows: readonly Row[]): void {
  const before = existsSync(file) ? readFileSync(file, "utf8") : head;
  const sections = before
    .split(/^(?=## )/m)
    .filter((section) => section.startsWith("## ") && !section.startsWith(`## ${suite}\n`));
  const lines = rows.map((row) => {
    const peers = Object.entries(row.peers).map(([name, value]) => `${name}: ${round(value)} ${row.unit}`);
    return `| ${row.work} | ${round(row.ours)} ${row.unit} | ${peers.join(", ")} | ${row.ratio.toFixed(2)} | ${row.detail} |`;
  });
  const own = `## ${suite}\n\n${new Date().toISOString().slice(0, 10)}, ${machine}\n\n| work | measured | beside | ratio | detail |\n| --- | --- | --- | --- | --- |\n${lines.join("\n")}\n\n`;
  const all = [...sections, own].sort().map((section) => `${section.trim()}\n`);
  writeFileSync(file, `${head}\n${all.join("\n")}`);
}

function round(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}
