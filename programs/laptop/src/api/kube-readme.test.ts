import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createKubeClient, kinds } from "@weft/kube";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { startApi } from "./testing/fixture.js";

test("the example in the README of @weft/kube runs", async () => {
  await using api = await startApi();
  await using client = createKubeClient(api.admin);
  await client.create(kinds.namespace, { metadata: { name: "shop" } });
  await client.create(kinds.service, {
    metadata: { name: "orders", namespace: "shop" },
    spec: { ports: [{ name: "grpc", port: 8080 }] },
  });
  const readme = readFileSync(new URL("../../../../packages/kube/README.md", import.meta.url), "utf8");
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1];
  if (example === undefined) throw new Error("the README has no example");
  const folder = mkdtempSync(join(tmpdir(), "weft-readme-"));
  try {
    mkdirSync(join(folder, ".weft"));
    writeFileSync(join(folder, ".weft/kubeconfig"), api.kubeconfig());
    await build({
      stdin: { contents: example, loader: "ts", resolveDir: fileURLToPath(new URL(".", import.meta.url)) },
      outfile: join(folder, "example.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      conditions: ["@weft/source"],
      external: ["bufferutil", "utf-8-validate"],
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    });
    const ran = await promisify(execFile)(process.execPath, ["example.mjs"], { cwd: folder, timeout: 20_000 });
    expect(ran.stdout).toContain("shop/orders");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
