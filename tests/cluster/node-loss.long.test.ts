import { eventually } from "@weft/foundation/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { canControl, kubeconfig } from "./environment.js";
import { nodesByPostgres, patient } from "./hands.js";
import { steadyLoad } from "./load.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

/** Longer than a client of the mesh takes to give up on an endpoint that says nothing any more. */
const deadlineMs = 30_000;

describe.skipIf(kubeconfig === undefined || !canControl)(
  "a node that is taken away (skipped without a cluster and the verb control)",
  () => {
    let cluster: ShopCluster;
    beforeAll(async () => {
      cluster = await shopCluster();
      await cluster.allReady();
      return () => cluster[Symbol.asyncDispose]();
    }, 1_800_000);

    /** Takes a node away for as long as `work` takes. */
    const without = async (node: string, work: () => Promise<void>): Promise<void> => {
      const { length } = await cluster.nodes();
      await cluster.control("kill", `${node}-init`);
      try {
        await work();
      } finally {
        await cluster.control("start");
      }
      const back = async () => (await cluster.nodes()).length === length;
      await eventually(back, { ...patient, what: `node ${node} back` });
      await eventually(() => cluster.allReady().then(() => true), { ...patient, what: "every Deployment ready again" });
    };

    test("leaves calls to its Pods to the others within their deadline", async () => {
      const node = await nodesByPostgres(cluster);
      const pods = await cluster.podsOf("shop", "catalog");
      expect(new Set(pods.map(({ spec }) => spec.nodeName))).toEqual(new Set([node.with, node.without]));
      const { images } = cluster;
      const how = { images, perSecond: 50, through: "mesh", timeoutMs: deadlineMs, node: node.with } as const;
      await using load = await steadyLoad(how);
      await without(node.without, async () => {
        const { sent } = await passes(40);
        expect(sent).toBeGreaterThan(0);
      });
      expect((await load.stop()).failed).toEqual([]);

      /** Waits until so many seconds' worth of calls have come back. */
      async function passes(seconds: number): Promise<{ readonly sent: number }> {
        const { completed } = await load.soFar();
        await eventually(async () => (await load.soFar()).completed > completed + seconds * how.perSecond, patient);
        return { sent: (await load.soFar()).completed };
      }
    }, 900_000);

    test("with Postgres on it, fails calls UNAVAILABLE within their deadline until it is back", async () => {
      const node = await nodesByPostgres(cluster);
      const { images } = cluster;
      await using load = await steadyLoad({
        images,
        perSecond: 10,
        through: "mesh",
        timeoutMs: deadlineMs,
        node: node.without,
      });
      await without(node.with, async () => {
        await eventually(async () => (await load.soFar()).failures > 40, { ...patient, what: "calls that fail" });
      });
      const recovered = await eventually(
        async () => {
          const before = await load.soFar();
          await eventually(async () => (await load.soFar()).completed > before.completed + 100, patient);
          const after = await load.soFar();
          return after.failures === before.failures ? after : undefined;
        },
        { ...patient, what: "a hundred calls without a failed one" },
      );
      expect(recovered.failed.filter((said) => !said.includes("[unavailable]"))).toEqual([]);
    }, 900_000);
  },
);
