import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createHttp2Transport, type PlainHandler } from "@weft/wire";
import { testCertificates as pem } from "@weft/wire/testing";
import { describe, expect, test } from "vitest";

const h2specPath = join(process.env["WEFT_TOOLS"] ?? "/nonexistent", "h2spec");

/** Longer than a window, so that h2spec can watch how the server keeps to it. */
const answer: PlainHandler = () => ({ status: 200, contentType: "text/plain", body: Buffer.alloc(128 * 1024, "a") });

/** Runs h2spec in its strict mode; resolves with all that it printed. */
function runH2spec(port: number, more: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const options = { timeout: 120_000, maxBuffer: 16 * 1024 * 1024 };
    execFile(h2specPath, ["-h", "127.0.0.1", "-p", String(port), "-S", "-o", "5", ...more], options, (_error, stdout) =>
      // Its exit code says no more than its last line.
      resolve(stdout),
    );
  });
}

describe.skipIf(!existsSync(h2specPath))("h2spec, strict (skipped without WEFT_TOOLS)", () => {
  const ends = [
    ["plaintext", {}, []],
    ["TLS", { tls: { certificate: pem.serverCertificate, privateKey: pem.serverKey } }, ["-t", "-k"]],
  ] as const;

  test.each(ends)(
    "all 146 cases on %s",
    async (_name, listen, flags) => {
      const transport = createHttp2Transport({ plainHandler: answer });
      await using listener = await transport.listen({ host: "127.0.0.1", port: 0, methods: new Map(), ...listen });
      const output = await runH2spec(listener.port, flags);
      expect(output.slice(-4_000)).toContain("146 tests, 146 passed, 0 skipped, 0 failed");
    },
    180_000,
  );
});
