import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Codecs } from "./codec.js";
import { codecContract } from "./testing/contract.js";

describe.each(["source", "closures"] as const)("codecs made of %s", (backend) => {
  const codecs = new Codecs(backend);
  test.each(codecContract)("$name", ({ run }) => run(codecs, 1), 120_000);
});

test("where source must not be compiled all of this holds, too", async () => {
  const program = fileURLToPath(new URL("testing/run-contract.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    ["--disallow-code-generation-from-strings", "--conditions=@weft/source", "--import", "tsx", program],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const exited = once(child, "exit");
  const outcome: unknown = JSON.parse(await text(child.stdout));
  await exited;
  expect(outcome).toEqual({ compiles: false, cases: codecContract.length, failed: [] });
}, 240_000);
