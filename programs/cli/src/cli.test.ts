import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { afterAll, expect, test } from "vitest";
import { runCli } from "./cli.js";
import { describeMesh } from "./commands/status.js";
import { formatTable } from "./terminal.js";

const state = mkdtempSync(join(tmpdir(), "weft-cli-"));
afterAll(() => rmSync(state, { recursive: true, force: true }));

async function weft(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr"): Writable =>
    new Writable({
      write(chunk, _encoding, done) {
        written[name] += String(chunk);
        done();
      },
    });
  const code = await runCli({ args, env: {}, stdout: sink("stdout"), stderr: sink("stderr") });
  return { code, ...written };
}

test("without a command, and for each command, there is help", async () => {
  const { code, stdout } = await weft();
  expect(code).toBe(0);
  for (const name of ["up", "status", "logs", "restart", "kubeconfig", "down", "reset", "load", "sagas"]) {
    expect(stdout).toMatch(new RegExp(`^  ${name} +\\S`, "m"));
    const asked = await weft("help", name);
    expect(asked.stdout).toContain(`weft ${name}`);
    expect(await weft(name, "--help")).toEqual(asked);
  }
});

test("what is not understood is said in one line, with exit code 2", async () => {
  expect(await weft("lgs")).toEqual({
    code: 2,
    stdout: "",
    stderr: 'weft: there is no command "lgs": see "weft help"\n',
  });
  expect((await weft("logs")).stderr).toBe('weft: "weft logs" takes NAME: see "weft help logs"\n');
  expect((await weft("status", "orders")).stderr).toBe('weft: "weft status" takes no name: see "weft help status"\n');
  expect((await weft("up", "--wrong")).stderr).toBe(`weft: unknown option '--wrong': see "weft help up"\n`);
  expect((await weft("logs", "orders", "--tail", "x")).code).toBe(2);
  const dashed = await weft("logs", "orders", "--tail", "-1");
  expect(dashed).toMatchObject({ code: 2, stdout: "" });
  expect(dashed.stderr.trimEnd()).not.toContain("\n");
});

test("a context that the kubeconfig lacks is said in one line, and the laptop is not asked", async () => {
  const file = join(state, "kubeconfig-of-a-cluster");
  writeFileSync(file, "{ contexts: [] }");
  for (const args of [["status"], ["load"], ["sagas", "list"]]) {
    expect(await weft(...args, "--state", state, "--kubeconfig", file, "--context", "prod")).toEqual({
      code: 1,
      stdout: "",
      stderr: 'weft: kubeconfig: no context "prod"\n',
    });
  }
});

test("commands that need the laptop say that it is not up, with exit code 1", async () => {
  for (const args of [
    ["status"],
    ["logs", "orders"],
    ["restart", "orders"],
    ["kubeconfig"],
    ["load"],
    ["sagas", "list"],
  ]) {
    const result = await weft(...args, "--state", state);
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain("weft up");
  }
  expect(await weft("down", "--state", state)).toEqual({ code: 0, stdout: "weft: the laptop is not up\n", stderr: "" });
  expect((await weft("reset", "--state", join(state, "none"))).stdout).toBe("weft: there is nothing to remove\n");
});

test("what the system refuses is said in one line, with exit code 1", async () => {
  const file = join(state, "file");
  writeFileSync(file, "");
  const result = await weft("reset", "--state", file);
  expect(result).toMatchObject({ code: 1, stdout: "" });
  expect(result.stderr).toMatch(/^weft: E[A-Z]+: .*\n$/);
  expect(result.stderr).toContain(file);
});

test("a process is current, stale, cut off, idle or silent by what it and the control planes say", () => {
  const mesh = { connected: true, version: "7", cause: undefined, targets: 1, rejected: [] };
  const process = { mesh, clients: undefined, version: undefined };
  const controlPlane = (current: boolean) => ({
    mesh: undefined,
    clients: new Map([["a.shop", { current, version: "7" }]]),
    version: "8",
  });
  expect(describeMesh(process, "a.shop", [controlPlane(true)])).toBe("current (version 7)");
  expect(describeMesh(process, "a.shop", [controlPlane(false)])).toBe("stale: has version 7");
  expect(describeMesh(process, "b.shop", [controlPlane(true)])).toBe("version 7, no control plane lists it");
  expect(describeMesh(controlPlane(true), "c.weft", [])).toBe("serves version 8");
  const cutOff = { ...process, mesh: { ...mesh, connected: false, cause: "refused" } };
  expect(describeMesh(cutOff, "a.shop", [])).toBe("cut off, works from version 7: refused");
  const idle = { ...process, mesh: { ...mesh, connected: false, version: "", targets: 0 } };
  expect(describeMesh(idle, "a.shop", [])).toBe("none needed: it calls no service");
  expect(describeMesh({ ...process, mesh: { ...mesh, rejected: ["Cluster x: bad"] } }, "a.shop", [])).toBe(
    "rejected: Cluster x: bad",
  );
  expect(describeMesh("no answer", "a.shop", [])).toBe("no answer");
  expect(describeMesh("none", "a.shop", [])).toBe("-");
});

test("tables are aligned and end in no blanks", () => {
  expect(
    formatTable([
      ["NAME", "B", "C"],
      ["long name", "x", ""],
    ]),
  ).toBe("NAME       B  C\nlong name  x\n");
});
