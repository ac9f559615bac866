import { create, fromBinary } from "@bufbuild/protobuf";
import { ClusterSchema } from "@weft/contracts/envoy/config/cluster/v3";
import { NodeSchema } from "@weft/contracts/envoy/config/core/v3";
import { connectionBackoff, createBackoff } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { createGrpcJsTransport } from "@weft/wire";
import { listenOn } from "@weft/wire/testing";
import { expect, test } from "vitest";
import { createAdsClient } from "./client/ads-client.js";
import type { ResourceType } from "./client/resource-type.js";
import { createAdsServer } from "./server/ads-server.js";
import { clusterResource, MemorySnapshots } from "./testing/index.js";
import { TypeUrl } from "./type-urls.js";

const soon = { ceilingMs: 10_000, everyMs: 2 };

/** Clusters, by their policy; a policy of 3 is not understood. */
const clusters: ResourceType<number> = {
  typeUrl: TypeUrl.cluster,
  complete: true,
  parse(bytes) {
    const { name, lbPolicy } = fromBinary(ClusterSchema, bytes);
    return lbPolicy === 3 ? { ok: false, name, error: "no such policy" } : { ok: true, name, value: lbPolicy };
  },
};

async function startReplica(snapshots: MemorySnapshots) {
  const server = createAdsServer({ snapshots, identifier: "cluster-1", retryRejectedMs: 20 });
  const listener = await listenOn(createGrpcJsTransport(), Object.fromEntries(server.methods));
  return {
    server,
    port: listener.port,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** A client of whichever replica `port` gives when it connects. */
function startClient(port: () => number) {
  const client = createAdsClient({
    connect: async () => createGrpcJsTransport().connect({ host: "127.0.0.1", port: port() }),
    node: create(NodeSchema, { id: "pod.shop" }),
    backoff: createBackoff({ ...connectionBackoff, initialMs: 10, maxMs: 20 }),
  });
  const collection = client.collection(clusters);
  return { client, collection, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

const cluster = (name: string, lbPolicy = 0) => clusterResource({ name, lbPolicy });

test("client and server agree on what is there, what changed and what is gone", async () => {
  const snapshots = new MemorySnapshots();
  snapshots.publish("1", [cluster("a"), cluster("b")]);
  await using replica = await startReplica(snapshots);
  await using world = startClient(() => replica.port);
  const a = world.collection.subscribe("a");
  await eventually(() => a.state.value.t === "present", soon);
  snapshots.publish("2", [cluster("a", 1)]);
  await eventually(() => a.state.value.t === "present" && a.state.value.value === 1, soon);
  await eventually(() => replica.server.describe()[0]?.version === "2", soon);
  snapshots.publish("3", []);
  await eventually(() => a.state.value.t === "absent", soon);
});

test("what a client refuses is seen at the server, and a better one heals it", async () => {
  const snapshots = new MemorySnapshots();
  snapshots.publish("1", [cluster("a"), cluster("b")]);
  await using replica = await startReplica(snapshots);
  await using world = startClient(() => replica.port);
  const [a, b] = [world.collection.subscribe("a"), world.collection.subscribe("b")];
  await eventually(() => a.state.value.t === "present" && b.state.value.t === "present", soon);
  snapshots.publish("2", [cluster("a", 3), cluster("b", 1)]);
  await eventually(() => replica.server.describe()[0]?.types[0]?.rejection?.message.includes("no such policy"), soon);
  expect(a.state.value).toMatchObject({ t: "present", value: 0 });
  expect(b.state.value).toMatchObject({ t: "present", value: 1 });
  snapshots.publish("3", [cluster("a", 2), cluster("b", 1)]);
  await eventually(() => a.state.value.t === "present" && a.state.value.value === 2, soon);
  await eventually(() => replica.server.describe()[0]?.types[0]?.rejection === undefined, soon);
});

test("a client that comes from a replica which was ahead is served as soon as this one has caught up, though nothing changed", async () => {
  const ahead = new MemorySnapshots();
  const behind = new MemorySnapshots();
  ahead.publish("10", [cluster("a", 1)]);
  behind.publish("9", [cluster("a"), cluster("b")]);
  await using second = await startReplica(behind);
  let port = 0;
  await using first = await startReplica(ahead);
  port = first.port;
  await using world = startClient(() => port);
  const a = world.collection.subscribe("a");
  await eventually(() => a.state.value.t === "present", soon);
  port = second.port;
  await first[Symbol.asyncDispose]();
  const b = world.collection.subscribe("b");
  await eventually(() => second.server.describe()[0]?.types[0]?.rejection !== undefined, soon);
  expect(a.state.value).toMatchObject({ t: "present", value: 1 });
  expect(b.state.value.t).toBe("pending");
  // The same resources under a newer version, and nobody is told of a change.
  behind.raise("10");
  await eventually(() => b.state.value.t === "present", soon);
  expect(a.state.value).toMatchObject({ t: "present", value: 0 });
});
