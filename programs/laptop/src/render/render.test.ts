import { execFileSync, spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { render } from "./render.js";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const fixtures = fileURLToPath(new URL("fixtures/", import.meta.url));
const kubectl = spawnSync("kubectl", ["version", "--client"], { stdio: "ignore" }).status === 0;

async function objectsOf(directory: string): Promise<unknown[]> {
  const rendered = await render(directory, { relativeTo: root });
  if (!rendered.ok) throw new Error(JSON.stringify(rendered.error, undefined, 1));
  return rendered.value.objects.map(({ object }) => object);
}

async function folders(directory: string): Promise<string[]> {
  const found = await readdir(directory, { withFileTypes: true });
  return found.filter((entry) => entry.isDirectory()).map((entry) => join(directory, entry.name));
}

const shown = (directory: string): string => directory.slice(root.length);

describe("rendering equals kubectl kustomize", async () => {
  const directories = [
    ...(await folders(fixtures)),
    ...(await folders(join(root, "k8s/overlays"))),
    join(root, "k8s/base"),
  ];
  test.skipIf(!kubectl).each(directories.map((directory) => [shown(directory), directory]))(
    "%s (needs kubectl on the PATH)",
    async (_, directory) => {
      const printed = execFileSync("kubectl", ["kustomize", directory], { encoding: "utf8" });
      const documents = parseAllDocuments(printed, { version: "1.1" });
      const expected = Array.isArray(documents) ? documents.map((document) => document.toJS()) : [];
      const actual = await objectsOf(directory);
      expect(actual).toEqual(expected);
      expect(expected.length).toBeGreaterThan(0);
    },
  );
});

describe("a kustomization", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "weft-render-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function problemsOf(files: Readonly<Record<string, string>>): Promise<string[]> {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    const rendered = await render(folder, { relativeTo: folder });
    return rendered.ok ? [] : rendered.error.map(({ file, line, message }) => `${file}:${line}: ${message}`);
  }

  const object = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: 'y'\n";

  test("keeps the file and line of each field, patched ones included", async () => {
    const rendered = await render(join(root, "k8s/overlays/laptop"), { relativeTo: root });
    if (!rendered.ok) throw new Error("does not render");
    const find = (kind: string, name: string) =>
      rendered.value.objects.find(
        ({ object }) => object["kind"] === kind && JSON.stringify(object).includes(`"name":"${name}"`),
      );
    const gateway = find("Service", "gateway");
    expect(gateway?.origin(["spec", "type"])).toEqual({
      file: "k8s/overlays/laptop/load-balancer-patch.yaml",
      line: 7,
    });
    expect(gateway?.origin(["spec", "ports", 0, "port"])).toEqual({
      file: "k8s/base/platform/gateway/service.yaml",
      line: 14,
    });
    expect(find("Deployment", "control-plane")?.origin(["spec", "replicas"]).file).toBe(
      "k8s/overlays/laptop/kustomization.yaml",
    );
    expect(gateway?.origin(["spec", "no", "such", "field"])).toEqual(gateway?.origin(["spec"]));
  });

  test("is refused at each field that is not supported", async () => {
    const problems = await problemsOf({
      "kustomization.yaml": "resources: [a.yaml]\nnamePrefix: x-\nimages:\n  - name: i\n    tagSuffix: y\n",
      "a.yaml": object,
    });
    expect(problems).toEqual([
      'kustomization.yaml:2: the kustomization: the field "namePrefix" is not supported',
      'kustomization.yaml:5: an image: the field "tagSuffix" is not supported',
    ]);
  });

  test("names what is missing, where it is asked for", async () => {
    expect(
      await problemsOf({
        "kustomization.yaml": "resources:\n  - a.yaml\n  - gone.yaml\n  - ../x.yaml\n  - https://e.org/x\n",
      }),
    ).toEqual([
      'kustomization.yaml:3: cannot read "gone.yaml": there is no such file',
      'kustomization.yaml:4: the file "../x.yaml" is outside the kustomization\'s folder',
      'kustomization.yaml:5: "https://e.org/x": resources from elsewhere are not supported',
    ]);
  });

  test("is refused when two objects have one name, naming both places", async () => {
    expect(
      await problemsOf({ "kustomization.yaml": "resources: [a.yaml]\n", "a.yaml": `${object}---\n${object}` }),
    ).toEqual(['a.yaml:8: ConfigMap "a" is there already, from a.yaml:1']);
  });

  test("is refused when a patch finds nothing, fails, or uses an unknown directive", async () => {
    const patches = [
      "resources: [a.yaml]",
      "patches:",
      "  - patch: |-",
      "      apiVersion: v1",
      "      kind: ConfigMap",
      "      metadata: {name: b}",
      "  - target: {kind: ConfigMap}",
      '    patch: \'[{"op": "remove", "path": "/data/gone"}]\'',
      "  - target: {kind: ConfigMap}",
      '    patch: \'{"data": {"$retainKeys": ["x"]}}\'',
      "",
    ].join("\n");
    const problems = await problemsOf({ "kustomization.yaml": patches, "a.yaml": object });
    expect(problems.map((problem) => problem.replace(/^kustomization.yaml:\d+: /, ""))).toEqual([
      'the patch names its resource, but there is no ConfigMap "b"',
      'the JSON patch fails: "/data/gone" leads nowhere',
      'the patch directive "$retainKeys" is not supported',
    ]);
  });

  test("is refused where kustomize would lose a patched port without a word", async () => {
    const pod = (port: string): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n    - name: c\n      ports:\n        - ${port}\n`;
    const problems = await problemsOf({
      "kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n",
      "a.yaml": pod("{containerPort: 80, protocol: TCP}"),
      "p.yaml": pod("{containerPort: 80, hostPort: 8080}"),
    });
    expect(problems).toEqual(['p.yaml:8: kustomize would lose this item: write its "protocol", as others have one']);
  });

  test("is refused where kustomize would take a replacement for nothing", async () => {
    const pod = (volume: string): string =>
      `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  volumes:\n    - ${volume}\n`;
    const problems = await problemsOf({
      "kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n",
      "a.yaml": pod("{name: v, configMap: {name: c}}"),
      "p.yaml": pod("{name: v, $patch: replace, emptyDir: {}}"),
    });
    expect(problems).toEqual(['p.yaml:6: "$patch: replace" stands in an item of its own, and means the whole list']);
  });

  test("is refused with the line when it is not YAML, and when a number would lose digits", async () => {
    const problems = await problemsOf({
      "kustomization.yaml": "resources: [a.yaml, b.yaml]\n",
      "a.yaml": "kind: [\n",
      "b.yaml": `${object}  big: 123456789012345678901\n`,
    });
    expect(problems[0]).toMatch(/^a.yaml:\d+: not YAML: /);
    expect(problems.at(-1)).toBe(
      'b.yaml:7: the number "123456789012345678901" cannot be kept exactly: write it in quotes',
    );
  });

  test("that includes itself is refused", async () => {
    expect(await problemsOf({ "kustomization.yaml": "resources: [.]\n" })).toEqual([
      'kustomization.yaml:1: "." includes itself',
    ]);
  });
});
