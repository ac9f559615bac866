import { eventually } from "@weft/foundation/testing";
import { kinds } from "@weft/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canControl, kubeconfig, needsCluster } from "./environment.js";
import { everyPodServes, isReady, killContainer, patient, podNow, restarted, restartsOf, rolledOut } from "./hands.js";
import { steadyLoad } from "./load.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

const minuteMs = 60_000;

describe.skipIf(kubeconfig === undefined)(`calls go on ${needsCluster}`, () => {
  let cluster: ShopCluster;
  beforeAll(async () => {
    cluster = await shopCluster();
  }, 1_800_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  const calls = () => steadyLoad({ images: cluster.images, perSecond: 50, through: "mesh" });

  const podOfCatalog = async () => {
    const [pod] = await cluster.podsOf("shop", "catalog");
    if (pod === undefined) throw new Error("catalog has no Pod");
    return pod;
  };

  const scale = (namespace: string, name: string, replicas: number): Promise<string> =>
    cluster.kubectl(["scale", `deployment/${name}`, "-n", namespace, `--replicas=${replicas}`]);

  const noPods = (namespace: string, selector: string) =>
    eventually(
      async () => {
        const { items } = await cluster.client.list(kinds.pod, { namespace, labelSelector: selector });
        return items.length === 0;
      },
      { ...patient, what: `no Pod of ${selector}` },
    );

  /** A Pod that comes now is found by those who call, as one that goes is left. */
  const newPodIsPickedUp = async (): Promise<void> => {
    const leaving = await podOfCatalog();
    await cluster.kubectl(["delete", "pod", leaving.metadata.name, "-n", "shop", "--wait=false"]);
    const present = await eventually(
      async () => {
        const pods = await cluster.podsOf("shop", "catalog");
        const settled =
          pods.length > 1 && pods.every((pod) => pod.metadata.uid !== leaving.metadata.uid && isReady(pod));
        return settled ? pods : undefined;
      },
      { ...patient, what: "a new Pod of catalog" },
    );
    await everyPodServes(cluster, present);
  };

  test("without a control plane, and a container that restarts meanwhile works from its snapshot", async () => {
    await using load = await calls();
    const victim = await podOfCatalog();
    const { spec } = await cluster.client.get(kinds.deployment, { namespace: "weft", name: "control-plane" });
    try {
      await scale("weft", "control-plane", 0);
      await noPods("weft", "app.kubernetes.io/name=control-plane");
      await using _ = await killContainer(cluster.images, victim);
      const again = await restarted(cluster.client, victim);
      await everyPodServes(cluster, [again]);
      expect(await cluster.podsOf("weft", "control-plane")).toEqual([]);
    } finally {
      await scale("weft", "control-plane", spec.replicas ?? 1);
    }
    await rolledOut("weft", "control-plane");
    await newPodIsPickedUp();
    expect((await load.stop()).failed).toEqual([]);
  }, 900_000);

  test("while names are not resolved", async () => {
    const dns = { namespace: "kube-system", name: "coredns" };
    const { spec } = await cluster.client.get(kinds.deployment, dns);
    await using load = await calls();
    try {
      await scale(dns.namespace, dns.name, 0);
      await noPods(dns.namespace, "k8s-app=kube-dns");
      const { completed } = await load.soFar();
      await eventually(async () => (await load.soFar()).completed > completed + 1_000, patient);
    } finally {
      await scale(dns.namespace, dns.name, spec.replicas ?? 1);
    }
    await rolledOut(dns.namespace, dns.name);
    await newPodIsPickedUp();
    expect((await load.stop()).failed).toEqual([]);
  }, 900_000);

  test.skipIf(!canControl)(
    "a minute without the API server, and a container that restarts meanwhile works from its snapshot (skipped without the verb control)",
    async () => {
      await using load = await calls();
      const victim = await podOfCatalog();
      await using _ = await killContainer(cluster.images, victim, 15_000);
      await cluster.control("stop", "kube-apiserver");
      const awayAt = Date.now();
      try {
        await new Promise((resolve) => setTimeout(resolve, minuteMs)); // the outage lasts a minute
      } finally {
        await cluster.control("start");
      }
      const backAt = Date.now();
      const again = await eventually(
        async () => {
          const pod = await podNow(cluster.client, victim);
          return restartsOf(pod) > restartsOf(victim) && isReady(pod) ? pod : undefined;
        },
        { ...patient, what: "the restarted container ready, as the API says" },
      );
      // Times of the API are whole seconds.
      const startedAt = Date.parse(again.status?.containerStatuses?.[0]?.state?.running?.startedAt ?? "");
      expect(startedAt).toBeGreaterThan(awayAt - 1_000);
      expect(startedAt).toBeLessThan(backAt);
      const served = (await cluster.logs(again)).split("\n").find((line) => line.includes("serving gRPC")) ?? "{}";
      expect(Date.parse(String(JSON.parse(served).time))).toBeLessThan(backAt);
      await newPodIsPickedUp();
      expect((await load.stop()).failed).toEqual([]);
    },
    900_000,
  );
});
