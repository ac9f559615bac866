import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../e2e/laptop.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const names = readdirSync(join(root, "packages"));

let folder = "";
let tarballs: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-packages-"));
  const built = await run(join(root, "node_modules/.bin/tsc"), ["-b", ...names.map((name) => `packages/${name}`)]);
  if (built.code !== 0) throw new Error(`tsc -b failed:\n${built.stdout}`);
  const packed = await run("npm", [
    "pack",
    "--json",
    "--pack-destination",
    folder,
    ...names.flatMap((name) => ["-w", `packages/${name}`]),
  ]);
  if (packed.code !== 0) throw new Error(`npm pack failed:\n${packed.stderr}`);
  tarballs = readdirSync(folder)
    .filter((name) => name.endsWith(".tgz"))
    .map((name) => join(folder, name));
}, 180_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A call from end to end: a server, a control plane that names it, a client that finds it by name. */
const body = `
  const transport = createGrpcJsTransport();
  const server = await serve(
    (router) => router.service(EchoService, { echo: (request) => ({ payload: request.payload }) }),
    { transport, host: "127.0.0.1", port: 0 },
  );
  const controlPlane = new TestControlPlane(transport);
  controlPlane.publish([...routedTarget("echo.test"), ...clusterOf("echo.test", [{ port: server.port }])]);
  await controlPlane.start();
  const mesh = await createMesh({ transport, controlPlane: controlPlane.address, node: { id: "a.test", namespace: "test" } });
  const client = createClient(EchoService, mesh.to("echo.test"));
  const reply = await client.echo({ payload: new TextEncoder().encode("through the tarballs") }, { timeoutMs: 20_000 });
  process.stdout.write(new TextDecoder().decode(reply.payload));
  await mesh[Symbol.asyncDispose]();
  await controlPlane[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
`;

const imports: readonly (readonly [names: string, from: string])[] = [
  ["createClient", "@connectrpc/connect"],
  ["EchoService", "@weft/contracts/weft/bench/v1"],
  ["createMesh, serve", "@weft/mesh"],
  ["clusterOf, routedTarget, TestControlPlane", "@weft/mesh/testing"],
  ["createGrpcJsTransport", "@weft/wire"],
];

const asModule = `${imports.map(([what, from]) => `import { ${what} } from "${from}";`).join("\n")}\n${body}`;
const asCommonJs = `${imports.map(([what, from]) => `const { ${what} } = require("${from}");`).join("\n")}\n(async () => {${body}})();`;
/** Every door of every package can be opened. */
const doors = `
  for (const door of ["foundation", "foundation/certificates", "codec", "wire", "xds", "kube", "mesh", "store", "store/embedded", "saga", "chassis"]) {
    await import("@weft/" + door);
  }
`;

async function newProject(kind: "module" | "commonjs"): Promise<string> {
  const project = mkdtempSync(join(folder, `${kind}-`));
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "consumer", private: true, type: kind }));
  const installed = await run(
    "npm",
    ["install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-package-lock", ...tarballs],
    { cwd: project },
  );
  if (installed.code !== 0) throw new Error(`npm install failed:\n${installed.stderr}`);
  return project;
}

describe("the published packages", () => {
  test("every package is packed, with built output and types and without tests", async () => {
    expect(tarballs).toHaveLength(names.length);
    for (const tarball of tarballs) {
      const listed = (await run("tar", ["-tzf", tarball])).stdout.split("\n");
      expect(listed).toContain("package/package.json");
      expect(listed.some((file) => file.startsWith("package/dist/") && file.endsWith(".js"))).toBe(true);
      expect(listed.some((file) => file.startsWith("package/dist/") && file.endsWith(".d.ts"))).toBe(true);
      expect(listed.filter((file) => /\.test\.|tsbuildinfo/.test(file))).toEqual([]);
    }
  });

  test("an empty ES module project installs them, makes a call, opens every door, and its types hold", async () => {
    const project = await newProject("module");
    writeFileSync(join(project, "main.mjs"), asModule);
    expect(await run(process.execPath, ["main.mjs"], { cwd: project })).toEqual({
      code: 0,
      stderr: "",
      stdout: "through the tarballs",
    });
    writeFileSync(join(project, "doors.mjs"), doors);
    expect(await run(process.execPath, ["doors.mjs"], { cwd: project })).toMatchObject({ code: 0, stderr: "" });
    writeFileSync(join(project, "main.ts"), asModule);
    const options = {
      target: "es2022",
      module: "nodenext",
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: ["node"],
      typeRoots: [join(root, "node_modules/@types")],
      lib: ["es2023", "esnext.disposable"],
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["main.ts"] }));
    expect(await run(join(root, "node_modules/.bin/tsc"), ["-p", project])).toMatchObject({ code: 0, stdout: "" });
  }, 180_000);

  test("an empty CommonJS project installs them and makes a call", async () => {
    const project = await newProject("commonjs");
    writeFileSync(join(project, "main.cjs"), asCommonJs);
    expect(await run(process.execPath, ["main.cjs"], { cwd: project })).toEqual({
      code: 0,
      stderr: "",
      stdout: "through the tarballs",
    });
  }, 180_000);
});
