import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type DescService, getOption } from "@bufbuild/protobuf";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { ShippingService } from "@weft/contracts/shop/shipping/v1";
import { Exposure, exposure } from "@weft/contracts/weft/options/v1";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { declaredEdges } from "../e2e/declared-edges.js";
import { run } from "../e2e/laptop.js";
import { at, containersOf, list, nameOf, namespaceOf, objectsOf, ofKind, overlays, root } from "./manifests.js";
import { mutated, mutations } from "./mutations.js";
import { practices } from "./practices.js";

const kubectl = [...(process.env["WEFT_CLUSTER"] === undefined ? [] : [process.env["WEFT_CLUSTER"]])]
  .concat((process.env["PATH"] ?? "").split(delimiter))
  .map((folder) => join(folder, "kubectl"))
  .find(existsSync);

describe.each(overlays)("%s", (overlay) => {
  test.each(practices.map((practice) => ({ ...practice })))("$name", async ({ check }) => {
    expect(check(await objectsOf(overlay))).toEqual([]);
  });

  test.skipIf(kubectl === undefined)("renders with kubectl to the same objects (skipped without kubectl)", async () => {
    const { code, stdout, stderr } = await run(kubectl ?? "", ["kustomize", join(root, overlay)]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(parseAllDocuments(stdout).map((document): unknown => document.toJS())).toEqual(await objectsOf(overlay));
  });
});

const sound = await objectsOf("k8s/overlays/cluster");

test.each(mutations.map((mutation) => ({ ...mutation, at: (mutation.path ?? ["(whole)"]).join(".") })))(
  '"$practice" is missed in $object at $at',
  (mutation) => {
    const practice = practices.find(({ name }) => name === mutation.practice);
    expect(practice?.check(mutated(sound, mutation))).toContainEqual({
      object: mutation.found ?? mutation.object,
      field: mutation.field,
      message: expect.any(String),
    });
  },
);

test("each practice is broken by a mutation, and each mutation breaks a practice", () => {
  expect([...new Set(mutations.map(({ practice }) => practice))].sort()).toEqual(
    practices.map(({ name }) => name).sort(),
  );
});

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

test("each service of the checkout has a folder of manifests with its name or is part of a component", async () => {
  const names = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  const inComponents = ["database-setup", "trace-store"];
  for (const group of ["platform", "shop"])
    expect(names(`k8s/base/${group}`)).toEqual(
      names(`services/${group}`).filter((name) => !inComponents.includes(name)),
    );
});

test("the set-up of databases makes, and may read, the Secrets that Pods ask for", () => {
  const asked = ofKind(sound, "Deployment", "StatefulSet")
    .filter((workload) => namespaceOf(workload) === "shop")
    .flatMap((workload) => containersOf(workload).flatMap(({ container }) => list(container["env"])))
    .flatMap((variable) => at(variable, "valueFrom", "secretKeyRef", "name") ?? []);
  const secrets = [...new Set(asked)].sort();
  const job = ofKind(sound, "Job").find((one) => nameOf(one) === "database-setup");
  const databases = list(at(job, "spec", "template", "spec", "containers"))
    .flatMap((container) => list(at(container, "env")))
    .find((variable) => at(variable, "name") === "WEFT_DATABASES");
  const made = String(at(databases, "value")).split(",");
  expect([...made.map((name) => `${name}-database`), "postgres-superuser"].sort()).toEqual(secrets);
  const role = ofKind(sound, "Role").find((one) => nameOf(one) === "database-setup");
  expect(list(role?.["rules"])).toContainEqual({
    apiGroups: [""],
    resources: ["secrets"],
    verbs: ["get"],
    resourceNames: expect.toSatisfy(
      (names: unknown) => JSON.stringify(list(names).toSorted()) === JSON.stringify(secrets),
    ),
  });
});
