import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DescService, getOption } from "@bufbuild/protobuf";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { ShippingService } from "@weft/contracts/shop/shipping/v1";
import { Exposure, exposure } from "@weft/contracts/weft/options/v1";
import { isRecord } from "@weft/kube";
import { type RenderedObject, render } from "@weft/laptop";
import { describe, expect, test } from "vitest";
import { declaredEdges } from "./declared-edges.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const overlays = readdirSync(join(root, "k8s/overlays")).map((name) => `k8s/overlays/${name}`);

type Json = Readonly<Record<string, unknown>>;

const record = (value: unknown): Json => (isRecord(value) ? value : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce((found, step) => record(found)[step], value);

async function objectsOf(folder: string): Promise<readonly RenderedObject[]> {
  const rendered = await render(join(root, folder), { relativeTo: root });
  if (!rendered.ok) throw new Error(JSON.stringify(rendered.error));
  return rendered.value.objects;
}

const ofKind = (objects: readonly RenderedObject[], kind: string): Json[] =>
  objects.map(({ object }) => object).filter((object) => object["kind"] === kind);
const nameOf = (object: Json): string => `${at(object, "metadata", "namespace")}/${at(object, "metadata", "name")}`;
const milliseconds = (text: unknown): number => Number(/^(\d+)s$/.exec(String(text))?.[1]) * 1_000;

describe.each(overlays)("%s", async (overlay) => {
  const objects = await objectsOf(overlay);
  const deployments = ofKind(objects, "Deployment").map((deployment) => [nameOf(deployment), deployment] as const);

  test.each(deployments)(
    "%s follows what Pod Security calls restricted, and has a service account of its own",
    (name, deployment) => {
      const pod = at(deployment, "spec", "template", "spec");
      expect(at(pod, "securityContext")).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: "RuntimeDefault" },
      });
      expect(at(pod, "automountServiceAccountToken")).toBe(false);
      expect(`${at(deployment, "metadata", "namespace")}/${at(pod, "serviceAccountName")}`).toBe(name);
      expect(ofKind(objects, "ServiceAccount").map(nameOf)).toContain(name);
      for (const container of list(at(pod, "containers"))) {
        expect(at(container, "securityContext")).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(at(container, "resources")).toEqual({
          requests: { cpu: expect.any(String), memory: expect.any(String) },
          limits: { cpu: expect.any(String), memory: expect.any(String) },
        });
      }
    },
  );

  test.each(deployments)("%s is named the same everywhere, and probed", (name, deployment) => {
    const labels = record(at(deployment, "spec", "template", "metadata", "labels"));
    expect(labels).toMatchObject({
      "app.kubernetes.io/name": at(deployment, "metadata", "name"),
      "app.kubernetes.io/component": expect.any(String),
      "app.kubernetes.io/part-of": "weft",
    });
    expect(at(deployment, "metadata", "labels")).toEqual(labels);
    const [container] = list(at(deployment, "spec", "template", "spec", "containers"));
    expect(at(container, "readinessProbe")).toBeDefined();
    expect(at(container, "startupProbe")).toBeDefined();
    const services = ofKind(objects, "Service").filter(
      (service) =>
        at(service, "metadata", "namespace") === at(deployment, "metadata", "namespace") &&
        Object.entries(record(at(service, "spec", "selector"))).every(([key, value]) => labels[key] === value),
    );
    expect(services.map(nameOf)).toContain(name);
    const ports = list(at(container, "ports")).map((port) => at(port, "name"));
    for (const service of services)
      for (const port of list(at(service, "spec", "ports"))) expect(ports).toContain(at(port, "targetPort"));
  });

  const processes = deployments.filter(([, deployment]) =>
    String(at(list(at(deployment, "spec", "template", "spec", "containers"))[0], "image")).startsWith(
      "ghcr.io/weft-mesh/",
    ),
  );

  test.each(processes)(
    "%s has time to drain, keeps its snapshot in memory, and is probed on the admin port",
    (_, deployment) => {
      const pod = at(deployment, "spec", "template", "spec");
      const settings = ofKind(objects, "ConfigMap").find(
        (one) => nameOf(one) === `${at(deployment, "metadata", "namespace")}/weft`,
      );
      const drainMs =
        milliseconds(at(settings, "data", "WEFT_DRAIN_DELAY")) +
        milliseconds(at(settings, "data", "WEFT_DRAIN_TIMEOUT"));
      expect(Number(at(pod, "terminationGracePeriodSeconds")) * 1_000).toBeGreaterThan(drainMs);
      const [container] = list(at(pod, "containers"));
      const snapshot = list(at(container, "volumeMounts")).find(
        (mount) => at(mount, "mountPath") === at(settings, "data", "WEFT_SNAPSHOT_DIR"),
      );
      const volume = list(at(pod, "volumes")).find((one) => at(one, "name") === at(snapshot, "name"));
      expect(at(volume, "emptyDir")).toMatchObject({ medium: "Memory" });
      for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"])
        expect(at(container, probe, "httpGet")).toEqual({
          path: expect.stringMatching(/^\/(livez|readyz)$/),
          port: "admin",
        });
    },
  );

  test.each(deployments)("%s is reached by declared edges alone, which both of their ends name", (name, deployment) => {
    const policies = ofKind(objects, "NetworkPolicy");
    const own = policies.filter((policy) => nameOf(policy) === name);
    expect(own).toHaveLength(1);
    expect(at(own[0], "spec", "policyTypes")).toEqual(["Ingress", "Egress"]);
    expect(at(own[0], "spec", "podSelector", "matchLabels")).toEqual(at(deployment, "spec", "selector", "matchLabels"));
    const outward = policies.flatMap((policy) => edgesOf(policy, "egress", "to"));
    const inward = policies.flatMap((policy) => edgesOf(policy, "ingress", "from"));
    expect(outward.sort()).toEqual(inward.sort());
  });
});

/** The edges on the port of services that a policy names, as `from→to`. */
function edgesOf(policy: Json, direction: string, peers: string): string[] {
  const own = nameOf(policy);
  return list(at(policy, "spec", direction)).flatMap((rule) => {
    if (!list(at(rule, "ports")).some((port) => at(port, "port") === 8080)) return [];
    return list(at(rule, peers)).map((peer) => {
      const namespace = at(peer, "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name");
      const other = `${namespace}/${at(peer, "podSelector", "matchLabels", "app.kubernetes.io/name")}`;
      return direction === "egress" ? `${own}→${other}` : `${other}→${own}`;
    });
  });
}

test("the gateway has an edge to each service with a public method, and to no other", () => {
  const isPublic = (service: DescService): boolean =>
    service.methods.some((method) => getOption(method, exposure) === Exposure.PUBLIC);
  const services: readonly DescService[] = [
    CartService,
    CatalogService,
    InventoryService,
    OrderService,
    PaymentService,
    ShippingService,
  ];
  const expected = services
    .filter(isPublic)
    .map((service) => `gateway→${service.file.proto.package.split(".")[1]}`)
    .sort();
  expect(declaredEdges().filter((edge) => edge.startsWith("gateway→"))).toEqual(expected);
});

test("each service of the checkout has a folder of manifests with its name, and each folder a service", () => {
  const names = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  for (const group of ["platform", "shop"]) {
    const services = names(`services/${group}`).filter((name) => !existsSync(join(root, "k8s/components", name)));
    expect(names(`k8s/base/${group}`)).toEqual(services);
  }
});
