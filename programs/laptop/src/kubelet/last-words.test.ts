import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { lastWords } from "./last-words.js";

const folder = mkdtempSync(join(tmpdir(), "weft-words-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const error = JSON.stringify({ level: "error", message: "service failed", error: { message: "port 8080 is taken" } });
const info = JSON.stringify({ level: "info", message: "stopped" });
const usage =
  'config: 2 variables are wrong\n  A is not set\n  B="x" is no number\n\nEnvironment variables:\n  A\n      What it is.\n';
const crash =
  "file:///main.js:3\n  throw x;\n\nTypeError: x is not a function\n    at main (main.js:3)\n\nNode.js v20.20.2\n";

test.each([
  ["a logged error", `${info}\n${error}\n${info}\n`, "service failed: port 8080 is taken"],
  ["a wrong configuration", usage, 'config: 2 variables are wrong; A is not set; B="x" is no number'],
  ["a crash", crash, "TypeError: x is not a function"],
  ["anything else", "one\ntwo\n", "two"],
  ["a long line", "y".repeat(500), `${"y".repeat(300)}…`],
  ["nothing", "", undefined],
])("the last words of %s", (name, text, words) => {
  const file = join(folder, name);
  writeFileSync(file, text);
  expect(lastWords(file)).toBe(words);
});

test("a log that is not there says nothing", () => {
  expect(lastWords(join(folder, "none"))).toBeUndefined();
});
