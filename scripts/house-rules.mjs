// House rules that no linter knows: each is a pattern over tracked files, with the reason it exists.
// Prints `file:line: rule: reason` for each breach and exits 1 when there is any.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

const isTest = (file) => /\.test\.tsx?$/.test(file);
const inPackages = (file) => file.startsWith("packages/");
const isSource = (file) => /\.tsx?$/.test(file) && !file.startsWith("packages/contracts/src/gen/");

/** @type {readonly {name: string, reason: string, applies: (file: string) => boolean, pattern: RegExp}[]} */
export const lineRules = [
  {
    name: "no-console",
    reason: "a library does not own the terminal: take a Logger",
    applies: (file) => isSource(file) && inPackages(file) && !isTest(file),
    pattern: /\bconsole\./,
  },
  {
    name: "no-environment",
    reason: "only a main.ts reads the environment, so that what a process depends on stands in one table",
    applies: (file) =>
      isSource(file) &&
      !isTest(file) &&
      !/\/main\.ts$/.test(file) &&
      !/^(tests|scripts)\//.test(file) &&
      !/\/lookup-hook\.ts$/.test(file),
    pattern: /\bprocess\.env\b/,
  },
  {
    name: "no-types-given-up",
    reason: "`any` and ignored errors hide what the compiler knows",
    applies: (file) => isSource(file),
    pattern: /(: any\b(?!\()|\bas any\b|<any>|@ts-ignore|@ts-nocheck)/,
  },
  {
    name: "no-narrowed-tests",
    reason: "a skipped or focused test proves nothing: say by name what is missing with skipIf",
    applies: (file) => isSource(file) && isTest(file),
    pattern: /\b(it|test|describe)\.(skip|only|todo)\b\s*\(/,
  },
  {
    name: "no-export-star",
    reason: "a door lists what goes through it",
    applies: isSource,
    pattern: /^export \* from/,
  },
  {
    name: "no-default-export",
    reason: "a name that is the same everywhere can be searched for",
    applies: (file) => isSource(file) && !/(^|\/)[a-z]+\.config\.ts$/.test(file),
    pattern: /^export default\b/,
  },
  {
    name: "no-left-over",
    reason: "what is left to do stands in docs/roadmap.md",
    applies: (file) => isSource(file) || /\.(mjs|ya?ml)$/.test(file),
    pattern: /\b(TODO|FIXME|XXX|HACK)\b/,
  },
  {
    name: "no-native-using-in-scripts",
    reason: "scripts run uncompiled on Node 20, which has no `using`",
    applies: (file) => /\.mjs$/.test(file),
    pattern: /^\s*(await )?using\s+\w+\s*=/,
  },
];

const folderNames = /(^|\/)(utils?|helpers?|common|misc)(\/|\.ts$)/;
const longFile = 400;

/** All breaches in the given files, each as one printable line. */
export function findBreaches(files, read) {
  const breaches = [];
  for (const file of files) {
    if (isSource(file) && folderNames.test(file))
      breaches.push(`${file}:1: no-grab-bag: name the folder or file after what it holds`);
    const rules = lineRules.filter((rule) => rule.applies(file));
    const long = isSource(file) && !isTest(file);
    if (rules.length === 0 && !long) continue;
    const lines = read(file).split("\n");
    for (const [index, line] of lines.entries()) {
      for (const rule of rules) {
        if (rule.pattern.test(line)) breaches.push(`${file}:${index + 1}: ${rule.name}: ${rule.reason}`);
      }
    }
    if (long && lines.length > longFile && !/^(\/\*|\/\/)/.test(lines[0] ?? "")) {
      breaches.push(`${file}:1: long-file: ${lines.length} lines: split it, or say in a header comment why it is one`);
    }
  }
  return breaches;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: root,
    encoding: "utf8",
  });
  const files = tracked.split("\0").filter((file) => file !== "" && !file.startsWith("scripts/house-rules"));
  const breaches = findBreaches(files, (file) => {
    try {
      return readFileSync(`${root}/${file}`, "utf8");
    } catch {
      return ""; // removed in the working tree, not yet in the index
    }
  });
  for (const breach of breaches) process.stdout.write(`${breach}\n`);
  process.stdout.write(breaches.length === 0 ? "house rules hold\n" : `${breaches.length} house rules broken\n`);
  process.exitCode = breaches.length === 0 ? 0 : 1;
}
