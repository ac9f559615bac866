import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer, request, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually } from "@weft/foundation/testing";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";

const ceiling = { ceilingMs: 20_000 };
let folder: string;
let bundle: string;

// As services run: one bundle, a plain node.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "weft-chassis-"));
  bundle = join(folder, "main.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("../testing/fixtures/main.ts", import.meta.url))],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@weft/source"],
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url); const __dirname = "/";',
    },
  });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Program extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly errors: () => string;
  readonly exited: Promise<number | null>;
}

function run(env: Readonly<Record<string, string>>): Program {
  const child = spawn(process.execPath, [bundle], {
    env: {
      TOKEN: "t",
      WEFT_BIND: "127.0.0.1",
      WEFT_ADMIN_PORT: "0",
      WEFT_DEBUG_PORT: "0",
      WEFT_DRAIN_DELAY: "0s",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  return {
    child,
    output: () => out,
    errors: () => err,
    exited,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill("SIGKILL");
      await exited;
    },
  };
}

function started(program: Program): Promise<boolean> {
  return eventually(() => program.output().includes('"started"'), ceiling);
}

test("SIGTERM drains and ends with 0, though the place where traces go is down", async () => {
  await using program = run({ MODE: "traces" });
  await started(program);
  program.child.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  expect(program.output()).toContain('"drained"');
  expect(program.errors()).toBe("");
  expect(program.output().match(/traces can't be sent/g)?.length ?? 0).toBeLessThanOrEqual(1);
});

test("a process whose log nobody reads any more goes on, and ends with 0", async () => {
  // Time between the first line that is written in vain and the end.
  await using program = run({ WEFT_DRAIN_DELAY: "300ms" });
  await started(program);
  const port = /"admin":(\d+)/.exec(program.output())?.[1];
  program.child.stdout?.destroy();
  program.child.stderr?.destroy();
  expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200);
  program.child.kill("SIGTERM");
  expect(await program.exited).toBe(0);
});

test("a second SIGINT ends the process at once", async () => {
  await using program = run({ WEFT_DRAIN_DELAY: "1h" });
  await started(program);
  program.child.kill("SIGINT");
  await eventually(() => program.output().includes('"stopping"'), ceiling);
  program.child.kill("SIGINT");
  expect(await program.exited).toBe(130);
});

test.each([
  ["throws", "nobody catches this"],
  ["rejects", "nobody awaits this"],
  ["task", "the task failed"],
])("a process that %s logs it once as JSON and ends with 1", async (mode, message) => {
  await using program = run({ MODE: mode });
  expect(await program.exited).toBe(1);
  const lines = program.output().trim().split("\n");
  for (const line of lines) JSON.parse(line);
  expect(lines.filter((line) => line.includes(message))).toHaveLength(1);
  expect(program.errors()).toBe("");
});

test("a wrong environment is printed whole, with the table, and ends with 2", async () => {
  await using program = run({ TOKEN: "", MODE: "odd", WEFT_PRT: "1" });
  expect(await program.exited).toBe(2);
  expect(program.output()).toBe("");
  for (const name of [
    "TOKEN is not set",
    'MODE="odd"',
    "WEFT_PRT",
    "did you mean WEFT_PORT?",
    "Environment variables:",
  ])
    expect(program.errors()).toContain(name);
});

test("a port that is taken ends the process with 1 and says which", async () => {
  await using other = await listen();
  await using program = run({ WEFT_ADMIN_PORT: String(other.port) });
  expect(await program.exited).toBe(1);
  expect(program.output()).toContain("EADDRINUSE");
  expect(program.output()).toContain(String(other.port));
});

test("the debug socket lies in a folder of its own, for its user alone, and replaces one left by a killed process", async () => {
  const path = join(folder, "pod", "debug.sock");
  await using first = run({ WEFT_DEBUG_SOCKET: path });
  await started(first);
  first.child.kill("SIGKILL");
  await first.exited;
  expect(existsSync(path)).toBe(true);
  await using second = run({ WEFT_DEBUG_SOCKET: path });
  await started(second);
  expect((await stat(join(folder, "pod"))).mode & 0o777).toBe(0o700);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const config = await new Promise<string>((resolve, reject) => {
    request({ socketPath: path, path: "/config" }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve(body));
    })
      .on("error", reject)
      .end();
  });
  expect(JSON.parse(config)).toMatchObject({ config: { TOKEN: "[redacted]" } });
});

test("a span arrives at the receiver before the process ends, its card number removed, and log lines carry its ids", async () => {
  await using receiver = await listen();
  await using program = run({
    MODE: "traces",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${receiver.port}`,
    OTEL_BSP_SCHEDULE_DELAY: "60000",
    OTEL_SERVICE_NAME: "fixture",
    POD_NAME: "fixture-7",
  });
  await started(program);
  program.child.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  const sent = receiver.bodies.join("");
  expect(sent).toContain("work [card]");
  expect(sent).toContain("fixture-7");
  expect(sent).not.toContain("4111111111111111");
  const line = program
    .output()
    .split("\n")
    .find((text) => text.includes('"inside"'));
  expect(line).toMatch(/"trace_id":"[0-9a-f]{32}","span_id":"[0-9a-f]{16}"/);
});

test("/metrics holds what was counted, without a card number in any label", async () => {
  await using program = run({ MODE: "traces" });
  await started(program);
  const port = /"admin":(\d+)/.exec(program.output())?.[1];
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(metrics).toMatch(/fixture_calls_total\{.*path="\/pay\/\[card\]".*count="12345".*\} 1/);
  expect(metrics).toContain("process_memory_usage");
  expect(metrics).not.toContain("4111111111111111");
});

interface Receiver extends AsyncDisposable {
  readonly port: number;
  readonly bodies: readonly string[];
}

/** Takes whatever is sent to it. */
async function listen(): Promise<Receiver> {
  const bodies: string[] = [];
  const server: Server = createServer((incoming, response) => {
    incoming.on("data", (chunk: Buffer) => bodies.push(chunk.toString("latin1")));
    incoming.on("end", () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    bodies,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
