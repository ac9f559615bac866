import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { credentials, Client as GrpcClient } from "@grpc/grpc-js";
import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { startControlPlane } from "./testing/cluster.js";
import { endpointsAre, routeIs, serviceIs } from "./testing/objects.js";

/** Folder of the foreign peers; without it these tests are skipped by name. */
const tools = process.env["WEFT_TOOLS"] ?? "";
const clientProgram = join(tools, "grpc-xds-interop-client");
const serverProgram = join(tools, "grpc-xds-interop-server");

describe.skipIf(!existsSync(clientProgram) || !existsSync(serverProgram))("grpc-go", () => {
  test("its xDS client and server accept everything, and calls follow endpoints and routes", async () => {
    await using plane = startControlPlane();
    plane.source.apply(serviceIs("catalog"), serviceIs("canary"));
    plane.source.sync();
    await using peers = startPeers(await plane.port());
    const ports = { one: await freePort(), two: await freePort(), stats: await freePort() };
    for (const name of ["one", "two"] as const) {
      // Only in its secure mode the server asks for its listener; without certificates in it, it serves plaintext.
      peers.run(serverProgram, "server.shop", [
        "--secure_mode=true",
        ...["--port", String(ports[name]), "--maintenance_port", String(await freePort())],
        ...["--server_id", name, "--host_name_override", name],
      ]);
    }
    plane.source.apply(
      endpointsAre("catalog", ["127.0.0.1"], { grpc: ports.one }),
      endpointsAre("canary", ["127.0.0.1"], { grpc: ports.two }),
    );
    const rejected = () => plane.controlPlane.describe().clients.flatMap((client) => client.rejected);
    peers.run(clientProgram, "client.shop", [
      "--server",
      "xds:///catalog.shop",
      "--stats_port",
      String(ports.stats),
      "--qps",
      "50",
    ]);
    const peersOf = () => callPeers(ports.stats);
    await eventually(async () => Object.keys(await peersOf()).join() === "one", { ceilingMs: 30_000 });

    const split = [
      { name: "catalog", port: 8080, weight: 1 },
      { name: "canary", port: 8080, weight: 1 },
    ];
    plane.source.apply(
      routeIs("split", {
        rules: [
          { backendRefs: split },
          {
            matches: [
              {
                method: { type: "RegularExpression", service: "a|b", method: "c+" },
                headers: [{ name: "x", value: "1" }],
              },
            ],
            backendRefs: split,
          },
        ],
      }),
    );
    await eventually(
      async () =>
        Object.keys(await peersOf())
          .sort()
          .join() === "one,two",
      { ceilingMs: 30_000 },
    );
    plane.source.apply(routeIs("split", { rules: [{ backendRefs: [{ name: "canary", port: 8080 }] }] }));
    await eventually(async () => Object.keys(await peersOf()).join() === "two", { ceilingMs: 30_000 });

    expect(rejected()).toEqual([]);
    const clients = plane.controlPlane.describe().clients;
    expect(clients.map(({ node }) => node).sort()).toEqual(["client.shop", "server.shop", "server.shop"]);
    await eventually(() => plane.controlPlane.describe().clients.every(({ current }) => current), {
      ceilingMs: 10_000,
    });
  }, 120_000);
});

/** Starts foreign programs that find this control plane; dispose ends them. */
function startPeers(port: number) {
  const folder = mkdtempSync(join(tmpdir(), "weft-interop-"));
  const running: ChildProcess[] = [];
  return {
    run(program: string, id: string, args: readonly string[]) {
      const bootstrap = join(folder, `${running.length}.json`);
      writeFileSync(
        bootstrap,
        JSON.stringify({
          xds_servers: [
            { server_uri: `127.0.0.1:${port}`, channel_creds: [{ type: "insecure" }], server_features: ["xds_v3"] },
          ],
          node: { id, metadata: { NAMESPACE: "shop" } },
          server_listener_resource_name_template: "grpc/server?xds.resource.listening_address=%s",
        }),
      );
      running.push(spawn(program, args, { stdio: "ignore", env: { GRPC_XDS_BOOTSTRAP: bootstrap } }));
    },
    async [Symbol.asyncDispose]() {
      for (const child of running) {
        const ended = new Promise((resolve) => child.once("exit", resolve));
        if (child.exitCode === null && child.kill("SIGKILL")) await ended;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Which servers answered the client's next 20 calls (grpc.testing.LoadBalancerStatsService), by name. */
async function callPeers(statsPort: number): Promise<Readonly<Record<string, number>>> {
  const client = new GrpcClient(`127.0.0.1:${statsPort}`, credentials.createInsecure());
  try {
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest(
        "/grpc.testing.LoadBalancerStatsService/GetClientStats",
        () => Buffer.from(new BinaryWriter().tag(1, 0).int32(20).tag(2, 0).int32(5).finish()),
        (answer: Buffer) => answer,
        {},
        (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
      );
    });
    return fromStats(bytes);
  } finally {
    client.close();
  }
}

/** `rpcs_by_peer` (field 1, a map) of LoadBalancerStatsResponse. */
function fromStats(bytes: Uint8Array): Record<string, number> {
  const counts: Record<string, number> = {};
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field !== 1) {
      reader.skip(wireType);
      continue;
    }
    const entry = new BinaryReader(reader.bytes());
    let name = "";
    let count = 0;
    while (entry.pos < entry.len) {
      const [part] = entry.tag();
      if (part === 1) name = entry.string();
      else count = entry.int32();
    }
    counts[name] = count;
  }
  return counts;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
