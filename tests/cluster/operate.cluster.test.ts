import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@weft/foundation/testing";
import { isRecord, kinds } from "@weft/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type CommandResult, run, shopClients } from "../e2e/laptop.js";
import { orderEdges } from "../e2e/shopping.js";
import { edgesOf } from "../e2e/traces.js";
import { kubeconfig, needsCluster, root } from "./environment.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

const debugPort = 9465;

describe.skipIf(kubeconfig === undefined)(`an operator with a kubeconfig ${needsCluster}`, () => {
  let cluster: ShopCluster;
  let folder = "";
  beforeAll(async () => {
    cluster = await shopCluster();
    await cluster.allReady();
    folder = await mkdtemp(join(tmpdir(), "weft-operate-"));
    // A second context, so that what --context names is not what is current.
    const config: unknown = parse(readFileSync(kubeconfig ?? "", "utf8"));
    if (!isRecord(config) || !Array.isArray(config["contexts"])) throw new Error("the kubeconfig has no contexts");
    const current = config["contexts"].find((entry) => entry.name === config["current-context"]);
    const contexts = [
      { name: "elsewhere", context: { cluster: "none", user: "none" } },
      { ...current, name: "shop" },
    ];
    const file = join(folder, "kubeconfig");
    writeFileSync(file, JSON.stringify({ ...config, contexts, "current-context": "elsewhere" }), { mode: 0o600 });
  }, 1_800_000);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    if (folder !== "") await rm(folder, { recursive: true });
  });

  /** Runs the built command as a user does who has set KUBECONFIG. */
  const weft = (...args: readonly string[]): Promise<CommandResult> =>
    run(process.execPath, [join(root, "programs/cli/bin/weft.js"), ...args, "--context", "shop"], {
      env: { ...process.env, KUBECONFIG: join(folder, "kubeconfig") },
    });

  test("reaches the gateway by port-forward to its Service", async () => {
    const gateway = await cluster.portForward("weft", "svc/gateway", 8080);
    const { products } = await shopClients(gateway.url).catalog.listProducts({ pageSize: 3 });
    expect(products).toHaveLength(3);
  }, 60_000);

  test("reads a Pod's debug endpoints by port-forward, and nobody reads them at the Pod's address", async () => {
    for (const name of ["catalog", "orders"]) {
      const [pod] = await cluster.podsOf("shop", name);
      if (pod === undefined) throw new Error(`${name} has no Pod`);
      const debug = await cluster.portForward("shop", `pod/${pod.metadata.name}`, debugPort);
      const config: unknown = await (await fetch(`${debug.url}/config`)).json();
      expect(config).toMatchObject({ process: { pod: pod.metadata.name }, mesh: { connected: true } });
      // From inside the Pod itself, which no policy keeps apart from its own address.
      const address = `${pod.status?.podIP}:${debugPort}`;
      const reached = await cluster.reach(pod, [address, `127.0.0.1:${debugPort}`]);
      expect(reached).toEqual([
        { target: address, outcome: "refused" },
        { target: `127.0.0.1:${debugPort}`, outcome: "connected" },
      ]);
    }
  }, 120_000);

  test("sees by weft status that every process has the newest config", async () => {
    const status = await eventually(
      async () => {
        const { code, stdout } = await weft("status");
        return code === 0 && /current/.test(stdout) && !/stale|no answer/.test(stdout) ? stdout : undefined;
      },
      { ceilingMs: 120_000, everyMs: 1_000, what: "every process current" },
    );
    for (const name of ["shop/catalog", "shop/orders", "weft/gateway", "weft/control-plane", "weft/jaeger"])
      expect(status).toContain(name);
  }, 180_000);

  test("shops by weft load through a port-forward of its own", async () => {
    const { code, stdout, stderr } = await weft(
      "load",
      "--rate",
      "5",
      "--users",
      "5",
      "--minutes",
      "0.2",
      "--seed",
      "1",
    );
    expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^shopping at http:\/\/127\.0\.0\.1:\d+: 5 calls\/s by 5 users/);
  }, 180_000);

  test("sees the sagas of an order by weft sagas, and the order in Jaeger with the edges it took", async () => {
    const { orderId, traceId } = await cluster.placeOrder();
    expect(orderId).not.toBe("");
    const listed = await weft("sagas", "list");
    expect(listed).toMatchObject({ code: 0, stderr: "" });
    expect(listed.stdout).toContain("place-order");
    const seen = edgesOf(await cluster.jaegerTrace(traceId, orderEdges));
    expect(seen).toEqual(expect.arrayContaining(orderEdges));
  }, 180_000);

  test("reads by kubectl logs nothing but lines of JSON", async () => {
    const { items } = await cluster.client.list(kinds.pod, { namespace: "shop" });
    const ours = items.filter(({ metadata }) =>
      /^(cart|catalog|inventory|orders|payments|shipping)-/.test(metadata.name),
    );
    expect(ours.length).toBeGreaterThan(5);
    for (const pod of ours) {
      for (const line of (await cluster.logs(pod, { tail: 20 })).trim().split("\n"))
        expect(JSON.parse(line), pod.metadata.name).toMatchObject({
          level: expect.any(String),
          time: expect.any(String),
          message: expect.any(String),
        });
    }
  }, 120_000);
});
