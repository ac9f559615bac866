import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@weft/foundation/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CommandResult, type Laptop, run, startLaptop } from "../e2e/laptop.js";
import { root } from "./blocks.js";
import { commandsIn, coveredElsewhere, endless } from "./shell.js";

const commands = commandsIn().filter(({ text }) => coveredElsewhere[text] === undefined);
const kubectlFound = (await run("sh", ["-c", "command -v kubectl"])).code === 0;
const needsKubectl = (text: string): boolean => text.startsWith("kubectl");

let laptop: Laptop;
let bin: string;

beforeAll(async () => {
  laptop = await startLaptop();
  // `npx weft` as a reader types it, but for the cluster of this test.
  bin = mkdtempSync(join(tmpdir(), "weft-docs-"));
  const launcher = join(root, "programs/cli/bin/weft.js");
  const npx = join(bin, "npx");
  writeFileSync(npx, `#!/bin/sh\nshift\nexec "${process.execPath}" "${launcher}" "$@" --state "${laptop.state}"\n`);
  chmodSync(npx, 0o755);
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
  if (bin !== undefined) rmSync(bin, { recursive: true, force: true });
}, 60_000);

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${bin}:${process.env["PATH"] ?? ""}`, KUBECONFIG: laptop.kubeconfig };
}

/** Documents name the usual ports; a cluster beside another has others. */
function asTyped(text: string): string {
  return text
    .replaceAll("http://127.0.0.1:8080", laptop.gatewayUrl)
    .replaceAll("http://127.0.0.1:16686", laptop.tracesUrl);
}

function shell(text: string): Promise<CommandResult> {
  // A shell whose input is a socket takes itself for a remote one and would read the machine's own start-up files.
  return run("bash", ["--norc", "-eu", "-o", "pipefail", "-c", asTyped(text)], { env: environment() });
}

/** Runs a command until it has printed something, then ends it as Ctrl-C does. */
function untilItPrints(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn("bash", ["--norc", "-c", `exec ${text}`], { cwd: root, env: environment(), stdio: "pipe" });
    let printed = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        printed += chunk.toString();
        child.kill("SIGINT");
      });
    child.once("error", reject);
    child.once("close", () => resolve(printed));
  });
}

describe("every command of the documents does what it should", () => {
  for (const { file, line, text } of commands) {
    const name = `${file}:${line}: ${text.split("\n")[0]}`;
    test.skipIf(needsKubectl(text) && !kubectlFound)(
      name,
      async () => {
        if (endless.includes(text)) {
          expect(await untilItPrints(text)).toMatch(/\S/);
          return;
        }
        const { code, stdout, stderr } = await shell(text);
        expect(code, `${stdout}${stderr}`).toBe(0);
        expect(stderr).toBe("");
        // curl ends with 0 whatever the answer; the gateway's errors have a code.
        if (text.startsWith("curl")) expect(stdout).not.toContain('{"code":');
        if (text.startsWith("curl -si")) expect(stdout).toMatch(/^HTTP\/1\.1 200 /);
      },
      90_000,
    );
  }
});

test("weft down ends it", async () => {
  expect(await shell("npx weft down")).toMatchObject({ code: 0 });
  await eventually(() => laptop.supervisor.exitCode !== null, { ceilingMs: 30_000, what: "the end of weft up" });
  expect(laptop.supervisor.exitCode).toBe(0);
}, 60_000);
