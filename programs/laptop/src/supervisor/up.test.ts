import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { silentLogger } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { afterAll, expect, test } from "vitest";
import { stateFolderOf } from "./state-folder.js";
import { weftUp } from "./up.js";

const folder = mkdtempSync(join(tmpdir(), "weft-up-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `weft up` of a checkout that has this one manifest, as far as it has come. */
function up(name: string, manifest: string) {
  const checkout = join(folder, name);
  const overlay = join(checkout, "overlay");
  mkdirSync(overlay, { recursive: true });
  mkdirSync(join(checkout, "services"), { recursive: true });
  writeFileSync(join(overlay, "kustomization.yaml"), "resources: [thing.yaml]\n");
  writeFileSync(join(overlay, "thing.yaml"), manifest);
  const written = { output: "", errors: "" };
  const sink = (stream: keyof typeof written): Writable =>
    new Writable({
      write(chunk, _encoding, done) {
        written[stream] += String(chunk);
        done();
      },
    });
  let stop = (): void => {};
  const state = stateFolderOf(join(checkout, "state"));
  const ended = weftUp({
    ...{ checkout, overlay, state, lookupHook: "", explain: false, sample: false, env: {}, logger: silentLogger },
    screen: { output: sink("output") },
    errors: sink("errors"),
    onStopRequest(request) {
      stop = request;
      return { [Symbol.dispose]() {} };
    },
  });
  return { checkout, state, written, ended, stop: () => stop() };
}

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: thing\n  namespace: default\ndata: {}\n";

test("an overlay without Deployments comes up, and is stopped with exit code 0", async () => {
  const laptop = up("plain", configMap);
  await eventually(() => laptop.written.output.includes("ready\n"), { ceilingMs: 30_000 });
  laptop.stop();
  expect(await laptop.ended).toBe(0);
  expect(laptop.written.errors).toBe("");
});

test("a laptop whose state folder is removed stops and says why: another start must not share its database", async () => {
  const laptop = up("removed", configMap);
  await eventually(() => laptop.written.output.includes("ready\n"), { ceilingMs: 30_000 });
  rmSync(laptop.state.root, { recursive: true });
  expect(await laptop.ended).toBe(1);
  expect(laptop.written.errors).toBe(`weft: ${laptop.state.root} was removed while the laptop was up: stopping\n`);
});

test("a manifest that the API refuses is named with file and line of the field", async () => {
  const wrong = up("wrong", configMap.replace("data: {}", "data:\n  good: text\n  colour: 3"));
  expect(await wrong.ended).toBe(1);
  expect(wrong.written.errors).toMatch(
    /^weft: overlay\/thing\.yaml:8: ConfigMap default\/thing: .*colour.*string.*\n$/,
  );
});

test("an object that names no namespace goes to default, and leaves it when it is taken out of the overlay", async () => {
  const first = up("placed", configMap.replace("  namespace: default\n", ""));
  await eventually(() => first.written.output.includes("1 objects (1 new,"), { ceilingMs: 30_000 });
  first.stop();
  expect(await first.ended).toBe(0);
  const second = up("placed", configMap.replace("name: thing", "name: other"));
  await eventually(() => second.written.output.includes("1 objects (1 new, 0 changed, 1 removed)"), {
    ceilingMs: 30_000,
  });
  second.stop();
  expect(await second.ended).toBe(0);
});
