import { eventually } from "@weft/foundation/testing";
import { isRecord, type Pod } from "@weft/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kubeconfig, needsCluster } from "./environment.js";
import { isReady, patient, podNow, restartsOf, rolledOut } from "./hands.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

describe.skipIf(kubeconfig === undefined)(
  `a Pod that cannot work says why, and recovers by itself ${needsCluster}`,
  () => {
    let cluster: ShopCluster;
    beforeAll(async () => {
      cluster = await shopCluster();
      await cluster.allReady();
    }, 1_800_000);
    afterAll(() => cluster?.[Symbol.asyncDispose]());

    /** A Pod of catalog that is none of these. */
    const newPod = (old: readonly Pod[]): Promise<Pod> =>
      eventually(
        async () => {
          const known = old.map((pod) => pod.metadata.uid);
          return (await cluster.podsOf("shop", "catalog")).find((pod) => !known.includes(pod.metadata.uid));
        },
        { ...patient, what: "a new Pod of catalog" },
      );

    /** Why a Pod's container waits, once it does for a reason that fits. */
    const waitsBecause = (pod: Pod, reason: RegExp): Promise<string> =>
      eventually(
        async () => {
          const waiting = (await podNow(cluster.client, pod)).status?.containerStatuses?.[0]?.state?.waiting;
          return reason.test(waiting?.reason ?? "") ? `${waiting?.reason}: ${waiting?.message}` : undefined;
        },
        { ...patient, what: `a container that waits because of ${reason}` },
      );

    const ready = (pod: Pod) =>
      eventually(async () => isReady(await podNow(cluster.client, pod)), {
        ...patient,
        what: `${pod.metadata.name} ready`,
      });

    test("a setting that means nothing: a line in the log, back-off, and the old Pods serve on", async () => {
      const old = await cluster.podsOf("shop", "catalog");
      await cluster.kubectl(["set", "env", "deployment/catalog", "-n", "shop", "WEFT_DRAIN_DELAY=soon"]);
      try {
        const broken = await newPod(old);
        expect(await waitsBecause(broken, /^CrashLoopBackOff$/)).toContain("back-off");
        const log = await cluster.logs(broken, { previous: true, tail: 500 });
        expect(
          log.split("\n").filter((line) => line.includes("WEFT_DRAIN_DELAY") && line.includes("soon")),
        ).toHaveLength(1);
        const now = await podNow(cluster.client, broken);
        expect(isReady(now)).toBe(false);
        expect(now.status?.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({ exitCode: 2 });
        for (const pod of old) expect(isReady(await podNow(cluster.client, pod))).toBe(true);
      } finally {
        await cluster.kubectl(["set", "env", "deployment/catalog", "-n", "shop", "WEFT_DRAIN_DELAY-"]);
      }
      await rolledOut("shop", "catalog");
      await cluster.ready("shop", "catalog");
    }, 600_000);

    test("a Secret that is missing: the Pod's state names it, and once it is there the Pod starts", async () => {
      const saved: unknown = JSON.parse(
        await cluster.kubectl(["get", "secret", "catalog-database", "-n", "shop", "-o", "json"]),
      );
      if (!isRecord(saved) || !isRecord(saved["metadata"])) throw new Error("no Secret");
      const { name, namespace, labels } = saved["metadata"];
      const old = await cluster.podsOf("shop", "catalog");
      await cluster.kubectl(["delete", "secret", "catalog-database", "-n", "shop"]);
      let waiting: Pod;
      try {
        await cluster.kubectl(["delete", "pod", old[0]?.metadata.name ?? "", "-n", "shop", "--wait=false"]);
        waiting = await newPod(old);
        expect(await waitsBecause(waiting, /^CreateContainerConfigError$/)).toContain(
          `secret "catalog-database" not found`,
        );
      } finally {
        const secret = { ...saved, metadata: { name, namespace, labels } };
        await cluster.kubectl(["create", "-f", "-"], JSON.stringify(secret));
      }
      await ready(waiting);
      expect(restartsOf(await podNow(cluster.client, waiting))).toBe(0);
      await cluster.ready("shop", "catalog");
    }, 600_000);

    test("a database that is down: a line in the log, not ready, no restart, and the trace of a call that failed", async () => {
      const pods = await cluster.podsOf("shop", "catalog");
      const restarts = pods.map(restartsOf);
      const shop = await cluster.shop();
      await cluster.kubectl(["scale", "statefulset/postgres", "-n", "shop", "--replicas=0"]);
      try {
        for (const pod of pods) {
          await eventually(
            async () => {
              // Who asks nothing of a database does not notice that it is gone.
              await shop.catalog.listProducts({ pageSize: 1 }, { timeoutMs: 30_000 }).catch(() => {});
              return !isReady(await podNow(cluster.client, pod));
            },
            { ...patient, what: `${pod.metadata.name} not ready` },
          );
          const lines = (await cluster.logs(pod)).split("\n");
          expect(lines.filter((line) => line.includes("database cannot be reached"))).not.toEqual([]);
        }
        const failure = await shop.catalog.listProducts({ pageSize: 1 }, { timeoutMs: 30_000 }).catch(String);
        expect(failure).toContain("[unavailable]");
        await eventually(async () => {
          for (const gateway of await cluster.podsOf("weft", "gateway")) {
            const line = (await cluster.logs(gateway))
              .split("\n")
              .find((each) => each.includes("a call failed inside"));
            if (line === undefined) continue;
            expect(JSON.parse(line)).toMatchObject({ trace_id: expect.stringMatching(/^[0-9a-f]{32}$/) });
            return true;
          }
          return false;
        }, patient);
      } finally {
        await cluster.kubectl(["scale", "statefulset/postgres", "-n", "shop", "--replicas=1"]);
      }
      for (const pod of pods) await ready(pod);
      const after = await Promise.all(pods.map((pod) => podNow(cluster.client, pod)));
      expect(after.map(restartsOf)).toEqual(restarts);
      await cluster.allReady();
      expect((await shop.catalog.listProducts({ pageSize: 1 })).products).toHaveLength(1);
    }, 600_000);
  },
);
