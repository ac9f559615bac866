import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "weft-hook-"));
const hook = join(folder, "lookup-hook.mjs");
const names = join(folder, "names.json");

beforeAll(() => {
  buildSync({
    entryPoints: [fileURLToPath(new URL("./lookup-hook.ts", import.meta.url))],
    outfile: hook,
    bundle: true,
    platform: "node",
    format: "esm",
  });
  writeFileSync(
    names,
    JSON.stringify({
      namespaces: ["shop", "weft"],
      services: {
        "orders.shop": ["127.20.0.9", "127.20.0.8"],
        "catalog.weft": ["127.20.0.7"],
        "idle.shop": [],
        "kubernetes.default": ["127.20.0.1"],
      },
    }),
  );
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a module body with the hook preloaded, in a Pod of namespace shop; gives what it prints as JSON. */
function run(body: string): unknown {
  const script = join(folder, "script.mjs");
  writeFileSync(script, body);
  const output = execFileSync(process.execPath, ["--import", hook, script], {
    encoding: "utf8",
    env: { ...process.env, LAPTOP_NAMES_FILE: names, LAPTOP_NAMESPACE: "shop" },
    timeout: 20_000,
  });
  return JSON.parse(output);
}

test("every form of a Service's name resolves to its ready Pods, by every door of node:dns", () => {
  const found = run(`
    import dns, { lookup, promises } from "node:dns";
    import { lookup as lookupPromise, Resolver } from "node:dns/promises";
    import { promisify } from "node:util";
    const forms = ["orders", "orders.shop", "orders.shop.svc", "orders.shop.svc.cluster.local", "ORDERS.shop.", "kubernetes.default.svc"];
    const answers = [];
    for (const form of forms) answers.push((await lookupPromise(form, { all: true })).map((entry) => entry.address).sort().join());
    const one = await promisify(lookup)("catalog.weft");
    const four = await promises.resolve4("catalog.weft");
    const resolver = await new Resolver().resolve4("catalog.weft.svc");
    const viaCallback = await new Promise((resolve) => dns.lookup("catalog.weft", { all: true }, (_, all) => resolve(all)));
    console.log(JSON.stringify({ answers, one, four, resolver, viaCallback }));
  `);
  const both = "127.20.0.8,127.20.0.9";
  expect(found).toEqual({
    answers: [both, both, both, both, both, "127.20.0.1"],
    one: { address: "127.20.0.7", family: 4 },
    four: ["127.20.0.7"],
    resolver: ["127.20.0.7"],
    viaCallback: [{ address: "127.20.0.7", family: 4 }],
  });
});

test("a Service that does not exist, or has no ready Pod, is ENOTFOUND, and other names go to the system", () => {
  const found = run(`
    import { lookup } from "node:dns/promises";
    const codeOf = (name) => lookup(name).then((found) => found.address, (error) => error.code);
    const names = ["nobody.shop", "idle.shop", "catalog", "nobody.elsewhere.svc.cluster.local", "127.0.0.3"];
    console.log(JSON.stringify(await Promise.all([...names.map(codeOf), lookup("localhost", 4).then((found) => found.address)])));
  `);
  // "catalog" is a Service of another namespace only: the system is asked, and does not know it (how it says so is its own affair).
  expect(found).toEqual(["ENOTFOUND", "ENOTFOUND", expect.stringMatching(/^E/), "ENOTFOUND", "127.0.0.3", "127.0.0.1"]);
});

test("a connection by name reaches the Pod, and a changed file is seen by the next lookup", () => {
  const other = join(folder, "other.json");
  writeFileSync(other, JSON.stringify({ namespaces: ["shop"], services: { "orders.shop": ["127.20.0.5"] } }));
  const found = run(`
    import { lookup } from "node:dns/promises";
    import { renameSync, copyFileSync } from "node:fs";
    import { createServer, connect } from "node:net";
    const server = createServer((socket) => socket.end("hello"));
    await new Promise((resolve) => server.listen(0, "127.20.0.7", resolve));
    const said = await new Promise((resolve, reject) => {
      const socket = connect(server.address().port, "catalog.weft");
      socket.on("data", (data) => resolve(String(data)));
      socket.on("error", reject);
    });
    server.close();
    const before = (await lookup("orders", { all: true })).length;
    copyFileSync(process.env.LAPTOP_NAMES_FILE, ${JSON.stringify(join(folder, "kept.json"))});
    renameSync(${JSON.stringify(other)}, process.env.LAPTOP_NAMES_FILE);
    const after = (await lookup("orders")).address;
    console.log(JSON.stringify({ said, before, after }));
  `);
  renameSync(join(folder, "kept.json"), names);
  expect(found).toEqual({ said: "hello", before: 2, after: "127.20.0.5" });
});
