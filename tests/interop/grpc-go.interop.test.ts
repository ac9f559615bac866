import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHttp2Transport, type Listener } from "@weft/wire";
import { testCertificates as pem } from "@weft/wire/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cases } from "./grpc-go/cases.js";
import { testService } from "./grpc-go/service.js";

const tools = process.env["WEFT_TOOLS"] ?? "/nonexistent";
const clientPath = join(tools, "grpc-interop-client");
const serverPath = join(tools, "grpc-interop-server");
const ceilingMs = 20_000;

/** What grpc-go's client offers and needs no cloud; orca_* wait until the mesh reports load. */
const foreignCases = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "special_status_message",
  "custom_metadata",
  "unimplemented_method",
  "unimplemented_service",
  "pick_first_unary",
  "rpc_soak",
  "channel_soak",
];

describe.skipIf(!existsSync(clientPath) || !existsSync(serverPath))("grpc-go (skipped without WEFT_TOOLS)", () => {
  const transport = createHttp2Transport();
  let folder = "";

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "weft-interop-"));
    await writeFile(join(folder, "root.pem"), pem.root);
    await writeFile(join(folder, "server.pem"), pem.serverCertificate);
    await writeFile(join(folder, "server.key"), pem.serverKey, { mode: 0o600 });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  for (const isSecure of [false, true]) {
    const ends = isSecure ? "TLS" : "plaintext";

    describe(`its client on our server, ${ends}`, () => {
      let listener: Listener | undefined;
      beforeAll(async () => {
        const tls = isSecure ? { tls: { certificate: pem.serverCertificate, privateKey: pem.serverKey } } : {};
        listener = await transport.listen({ host: "127.0.0.1", port: 0, methods: testService, ...tls });
      });
      afterAll(() => listener?.[Symbol.asyncDispose]());

      test.each(foreignCases)(
        "%s",
        async (name) => {
          const flags = [`--server_host=127.0.0.1`, `--server_port=${listener?.port}`, `--test_case=${name}`];
          const secure = [
            "--use_tls",
            "--use_test_ca",
            `--ca_file=${join(folder, "root.pem")}`,
            "--server_host_override=server.test",
          ];
          const result = await run(clientPath, isSecure ? [...flags, ...secure] : flags);
          expect(result).toMatchObject({ code: 0 });
          expect(listener?.openStreams).toBe(0);
        },
        ceilingMs * 2,
      );
    });

    describe(`our client on its server, ${ends}`, () => {
      let port = 0;
      let stop: () => Promise<void> = async () => {};
      beforeAll(async () => {
        port = await freePort();
        const secure = [
          "--use_tls",
          `--tls_cert_file=${join(folder, "server.pem")}`,
          `--tls_key_file=${join(folder, "server.key")}`,
        ];
        const child = spawn(serverPath, [`--port=${port}`, ...(isSecure ? secure : [])], { stdio: "ignore" });
        const exited = once(child, "exit");
        stop = async () => {
          child.kill("SIGKILL");
          await exited;
        };
      });
      afterAll(() => stop());

      const connect = async () => {
        const tls = isSecure ? { tls: { roots: pem.root, serverName: "server.test" } } : {};
        const deadline = AbortSignal.timeout(ceilingMs);
        for (;;) {
          const connection = transport.connect({ host: "127.0.0.1", port, ...tls });
          const state = await connection.state.until((now) => now.t !== "connecting", deadline);
          if (state.t === "ready") return connection;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      };

      test.each(Object.keys(cases))(
        "%s",
        async (name) => {
          await using connection = await connect();
          await cases[name]?.(connection);
        },
        ceilingMs * 2,
      );
    });
  }
});

function run(path: string, args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    const child = execFile(path, [...args], { timeout: ceilingMs }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: `${stdout}${stderr}`.slice(-2_000) }),
    );
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("bound to no port");
  return address.port;
}
