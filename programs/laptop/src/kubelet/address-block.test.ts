import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { expect, test } from "vitest";
import { claimAddressBlock } from "./address-block.js";

test("two laptops never share a block, and a block is free again when its holder lets go", async () => {
  const folder = `/tmp/some/checkout-${process.pid}`;
  const first = await claimAddressBlock(folder);
  await using second = await claimAddressBlock(folder);
  expect(first.prefix).toMatch(/^127\.(1[6-9]|[2-9]\d|1\d\d|2[0-4]\d|25[0-4])\.\d+$/);
  expect(second.prefix).not.toBe(first.prefix);
  await first[Symbol.asyncDispose]();
  await using third = await claimAddressBlock(folder);
  expect(third.prefix).toBe(first.prefix);
});

test("an address that was freed is handed out again only after all others", async () => {
  await using block = await claimAddressBlock(`/tmp/other/checkout-${process.pid}`);
  const first = block.allocate();
  expect(first).toBe(`${block.prefix}.2`);
  block.free(first);
  block.free(first);
  const others = Array.from({ length: 252 }, () => block.allocate());
  expect(others).not.toContain(first);
  expect(block.allocate()).toBe(first);
  expect(() => block.allocate()).toThrow("all 253 Pod addresses");
});

test("a holder that is killed holds nothing any more", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-block-"));
  const bundle = join(folder, "block.mjs");
  const script = join(folder, "holder.mjs");
  buildSync({
    entryPoints: [fileURLToPath(new URL("./address-block.ts", import.meta.url))],
    outfile: bundle,
    ...{ bundle: true, platform: "node", format: "esm" },
  });
  writeFileSync(
    script,
    `import { claimAddressBlock } from "./block.mjs"; console.log((await claimAddressBlock("/killed")).prefix); setInterval(() => {}, 1000);`,
  );
  const holder = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  const prefix = await new Promise<string>((resolve) =>
    holder.stdout.once("data", (text) => resolve(String(text).trim())),
  );
  {
    await using other = await claimAddressBlock("/killed");
    expect(other.prefix).not.toBe(prefix);
  }
  holder.kill("SIGKILL");
  await new Promise((resolve) => holder.once("exit", resolve));
  await using again = await claimAddressBlock("/killed");
  expect(again.prefix).toBe(prefix);
  rmSync(folder, { recursive: true, force: true });
});
