import { eventually } from "@weft/foundation/testing";
import { kinds } from "@weft/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Laptop, shopClients, startLaptop } from "../e2e/laptop.js";
import { deploymentReady, podsOf } from "../e2e/pods.js";
import { podProcess } from "../e2e/processes.js";
import { steadyCalls } from "../e2e/steady.js";

let laptop: Laptop;
let shop: ReturnType<typeof shopClients>;
let productId = "";

beforeAll(async () => {
  laptop = await startLaptop();
  shop = shopClients(laptop.gatewayUrl);
  productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

const controlPlane = { namespace: "weft", name: "control-plane" };

async function scaleControlPlane(replicas: number): Promise<void> {
  await laptop.client.patch(kinds.deployment, controlPlane, { t: "merge", body: { spec: { replicas } } });
  await eventually(async () => (await podsOf(laptop.client, "weft", "control-plane")).length === replicas, {
    ceilingMs: 60_000,
    what: `control-plane at ${replicas}`,
  });
}

test("a minute without a control plane fails no call; a killed container restarts from its snapshot; a restart waits for its return", async () => {
  const steady = steadyCalls(() => shop.catalog.getProduct({ productId }), 50);
  await scaleControlPlane(0);
  const awayMs = performance.now();

  // One container of each service is killed and works again from its snapshot, with no control plane to ask.
  for (const [namespace, name] of [
    ["shop", "catalog"],
    ["shop", "inventory"],
    ["shop", "orders"],
  ] as const) {
    const [victim] = await podsOf(laptop.client, namespace, name);
    if (victim === undefined) throw new Error(`${name} has no Pod`);
    process.kill(podProcess(victim), "SIGKILL");
    await eventually(
      async () => {
        const pod = await laptop.client.get(kinds.pod, { namespace, name: victim.metadata.name });
        const status = pod.status?.containerStatuses?.[0];
        return (status?.restartCount ?? 0) > 0 && status?.ready === true;
      },
      { ceilingMs: 60_000, what: `${name} ready again without a control plane` },
    );
  }

  // A restart begun now gets no further than its first new Pod, and the old ones go on serving.
  const old = (await podsOf(laptop.client, "shop", "catalog")).map((pod) => pod.metadata.uid);
  await laptop.client.patch(
    kinds.deployment,
    { namespace: "shop", name: "catalog" },
    {
      t: "merge",
      body: {
        spec: {
          template: { metadata: { annotations: { "kubectl.kubernetes.io/restartedAt": new Date().toISOString() } } },
        },
      },
    },
  );
  await eventually(async () => (await podsOf(laptop.client, "shop", "catalog")).length > old.length, {
    ceilingMs: 60_000,
    what: "a new Pod that waits",
  });
  const leftMs = 60_000 - (performance.now() - awayMs);
  if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs)); // the outage lasts a minute
  const during = await podsOf(laptop.client, "shop", "catalog");
  expect(during.filter((pod) => old.includes(pod.metadata.uid))).toHaveLength(old.length);
  const waiting = during.find((pod) => !old.includes(pod.metadata.uid));
  expect(waiting?.status?.conditions?.find((condition) => condition.type === "Ready")?.status).toBe("False");

  await scaleControlPlane(1);
  await deploymentReady(laptop.client, "weft", "control-plane");
  await deploymentReady(laptop.client, "shop", "catalog");
  expect((await podsOf(laptop.client, "shop", "catalog")).filter((pod) => old.includes(pod.metadata.uid))).toEqual([]);
  expect((await steady.stop()).failures).toEqual([]);
}, 400_000);

test("a control plane that restarts never empties anyone's clusters", async () => {
  const steady = steadyCalls(() => shop.catalog.getProduct({ productId }), 100);
  for (let round = 0; round < 3; round += 1) {
    const [pod] = await podsOf(laptop.client, "weft", "control-plane");
    if (pod === undefined) throw new Error("no control plane");
    const restarts = pod.status?.containerStatuses?.[0]?.restartCount ?? 0;
    process.kill(podProcess(pod), "SIGKILL");
    await eventually(
      async () => {
        const status = (await laptop.client.get(kinds.pod, { namespace: "weft", name: pod.metadata.name })).status
          ?.containerStatuses?.[0];
        return (status?.restartCount ?? 0) > restarts && status?.ready === true;
      },
      { ceilingMs: 90_000, what: "the control plane back" },
    );
  }
  expect((await steady.stop()).failures).toEqual([]);
}, 300_000);
