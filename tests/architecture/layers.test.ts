import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Each package imports only what stands before it (ARCHITECTURE.md). */
const order = ["contracts", "foundation", "codec", "wire", "xds", "kube", "mesh", "store", "saga", "chassis"];

interface Import {
  readonly file: string;
  readonly from: string;
}

function importsBelow(folder: string): Import[] {
  const found: Import[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || !/\.tsx?$/.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const text = readFileSync(path, "utf8");
    for (const match of text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)) {
      found.push({ file: path.slice(root.length), from: match[1] ?? "" });
    }
  }
  return found;
}

function weftPackageOf(specifier: string): string | undefined {
  return /^@weft\/([a-z-]+)/.exec(specifier)?.[1];
}

/** The imports of one file that its layer may not make. */
function upwardImports(layer: number, imports: readonly Import[]): string[] {
  return imports.flatMap(({ file, from }) => {
    const target = weftPackageOf(from);
    if (target === undefined || target === order[layer]) return [];
    const at = order.indexOf(target);
    return at >= 0 && at < layer ? [] : [`${file} imports ${from}`];
  });
}

test("the list of layers names every package that exists", () => {
  expect([...order].sort()).toEqual(readdirSync(join(root, "packages")).sort());
});

test.each(order.map((name, layer) => ({ name, layer })))(
  "packages/$name imports only what stands before it",
  ({ name, layer }) => {
    const folder = `packages/${name}/src`;
    if (!existsSync(join(root, folder))) return;
    expect(upwardImports(layer, importsBelow(folder))).toEqual([]);
  },
);

test("an upward import is found", () => {
  const wire = order.indexOf("wire");
  expect(upwardImports(wire, [{ file: "x.ts", from: "@weft/mesh" }])).toEqual(["x.ts imports @weft/mesh"]);
  expect(upwardImports(wire, [{ file: "x.ts", from: "@weft/foundation/testing" }])).toEqual([]);
});

const services = readdirSync(join(root, "services")).flatMap((group) =>
  readdirSync(join(root, "services", group)).map((name) => `services/${group}/${name}`),
);

test.each(services)("%s imports packages only, never another service or a program", (folder) => {
  if (!existsSync(join(root, folder, "src"))) return;
  const wrong = importsBelow(`${folder}/src`).filter(({ from }) => {
    const target = weftPackageOf(from);
    if (target !== undefined) return !order.includes(target);
    return from.startsWith("../../../");
  });
  expect(wrong).toEqual([]);
});

test("no file reaches into another package past its door", () => {
  const folders = [...order.map((name) => `packages/${name}`), ...services, "programs/laptop", "programs/cli"];
  const wrong = folders.flatMap((folder) => {
    if (!existsSync(join(root, folder, "src"))) return [];
    const depthOfRoot = folder.split("/").length;
    return importsBelow(`${folder}/src`).filter(({ file, from }) => {
      if (/^@weft\/[a-z-]+\/(src|dist)\//.test(from)) return true;
      if (!from.startsWith("..")) return false;
      const depth = file.split("/").length - 1 - depthOfRoot;
      const ups = from.split("/").filter((part) => part === "..").length;
      return ups >= depth && ups > 0 && depth - ups < 1;
    });
  });
  expect(wrong).toEqual([]);
});
