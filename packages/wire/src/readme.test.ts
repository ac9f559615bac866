import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

test("the example of the README runs and prints what it says", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1];
  if (example === undefined) throw new Error("the README has no example");
  // Inside the workspace, so that packages are found as a user's would be.
  const folder = join(root, ".tsbuild", `wire-readme-${process.pid}`);
  await mkdir(folder, { recursive: true });
  const printed = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    const file = join(folder, "example.ts");
    await writeFile(file, example);
    await import(file);
    expect(printed.mock.calls.map(([text]) => Buffer.from(text).toString())).toEqual(["hello", ": 0\n"]);
  } finally {
    printed.mockRestore();
    await rm(folder, { recursive: true, force: true });
  }
});
