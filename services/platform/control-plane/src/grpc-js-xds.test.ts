import { type ChannelOptions, credentials, Client as GrpcClient, Metadata, type ServiceError } from "@grpc/grpc-js";
import { register } from "@grpc/grpc-js-xds";
import { Scope } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { startBackend, startControlPlane, whoAreYou } from "./testing/cluster.js";
import { endpointsAre, routeGone, routeIs, serviceIs } from "./testing/objects.js";

register();

/** A channel of the stock xDS client for Node. */
function openChannel(name: string, controlPlanePort: number) {
  const bootstrap = {
    xds_servers: [
      {
        server_uri: `127.0.0.1:${controlPlanePort}`,
        channel_creds: [{ type: "insecure" }],
        server_features: ["xds_v3"],
      },
    ],
    node: { id: "stock.shop", metadata: { NAMESPACE: "shop" }, locality: {} },
  };
  const options: ChannelOptions = {
    "grpc.TEST_ONLY_DO_NOT_USE_IN_PROD.xds_bootstrap_config": JSON.stringify(bootstrap),
  };
  const client = new GrpcClient(`xds:///${name}`, credentials.createInsecure(), options);
  return {
    call(headers: Readonly<Record<string, string>> = {}): Promise<string> {
      const metadata = new Metadata();
      for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          whoAreYou,
          () => Buffer.alloc(0),
          (bytes: Buffer) => bytes.toString(),
          Buffer.alloc(0),
          metadata,
          { deadline: Date.now() + 10_000 },
          (error: ServiceError | null, answer) => (error === null ? resolve(answer ?? "") : reject(error)),
        );
      });
    },
    [Symbol.dispose]: () => client.close(),
  };
}

test("the stock xDS client for Node follows services, endpoints, weights and headers, and rejects nothing", async () => {
  await using scope = new Scope();
  await using plane = startControlPlane();
  const one = await startBackend("one", scope);
  const two = await startBackend("two", scope);
  const three = await startBackend("three", scope);
  plane.source.apply(
    serviceIs("catalog", { grpc: 8080, admin: 9464 }),
    endpointsAre("catalog", ["127.0.0.1"], { grpc: one.port }),
    serviceIs("canary"),
    endpointsAre("canary", ["127.0.0.1"], { grpc: two.port }),
  );
  plane.source.sync();
  using channel = openChannel("catalog.shop", await plane.port());
  expect(await channel.call()).toBe("one");

  const rules = [
    {
      matches: [{ headers: [{ name: "x-canary", type: "RegularExpression", value: "y(es)?" }] }],
      backendRefs: [{ name: "canary", port: 8080 }],
    },
    {
      backendRefs: [
        { name: "catalog", port: 8080, weight: 1 },
        { name: "canary", port: 8080, weight: 1 },
      ],
    },
  ];
  plane.source.apply(routeIs("split", { rules }));
  await eventually(async () => (await channel.call({ "x-canary": "yes" })) === "two", { ceilingMs: 10_000 });
  const answers = new Set<string>();
  for (let index = 0; index < 60; index += 1) answers.add(await channel.call());
  expect([...answers].sort()).toEqual(["one", "two"]);

  plane.source.apply(routeIs("split", { rules: [{ backendRefs: [{ name: "gone", port: 8080 }] }] }));
  await eventually(
    () =>
      channel.call().then(
        () => false,
        (error: unknown) => error instanceof Error && "code" in error && error.code === 14,
      ),
    { ceilingMs: 10_000 },
  );

  plane.source.apply(routeGone("split"), endpointsAre("catalog", ["127.0.0.1"], { grpc: three.port }));
  await eventually(async () => (await channel.call().catch(() => "")) === "three", { ceilingMs: 10_000 });
  const [client] = plane.controlPlane.describe().clients;
  expect(client?.rejected).toEqual([]);
  expect(Object.keys(client?.acked ?? {}).sort()).toEqual([
    "Cluster",
    "ClusterLoadAssignment",
    "Listener",
    "RouteConfiguration",
  ]);
});
