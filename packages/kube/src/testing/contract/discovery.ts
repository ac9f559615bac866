import { expect, test } from "vitest";
import { at, type ContractWorld, send } from "./fixture.js";

/** The documents by which clients find their way. */
export function discoveryContract(world: ContractWorld): void {
  test("the resources of a version are listed with their short names", async () => {
    const answer = await send(world, { method: "GET", path: "/apis/apps/v1" });
    const resources: unknown = at(answer.json, "resources");
    const named = (name: string): unknown =>
      Array.isArray(resources) ? resources.find((entry) => at(entry, "name") === name) : undefined;
    expect(named("deployments")).toMatchObject({
      kind: "Deployment",
      namespaced: true,
      singularName: "deployment",
      shortNames: ["deploy"],
      categories: ["all"],
    });
    expect(named("deployments/scale")).toMatchObject({ kind: "Scale", group: "autoscaling", version: "v1" });
  });

  test("aggregated discovery gives all groups in one document", async () => {
    const answer = await send(world, {
      method: "GET",
      path: "/apis",
      accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
    });
    expect(at(answer.json, "kind")).toBe("APIGroupDiscoveryList");
    const items: unknown = at(answer.json, "items");
    const names = Array.isArray(items) ? items.map((item) => at(item, "metadata", "name")) : [];
    expect(names).toEqual(expect.arrayContaining(["apps", "discovery.k8s.io", "rbac.authorization.k8s.io"]));
  });

  test("the OpenAPI document says that a patch takes fieldValidation", async () => {
    const index = await send(world, { method: "GET", path: "/openapi/v3" });
    const url: unknown = at(index.json, "paths", "apis/apps/v1", "serverRelativeURL");
    const answer = await send(world, { method: "GET", path: String(url) });
    const patch = at(answer.json, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "patch");
    expect(at(patch, "x-kubernetes-group-version-kind")).toEqual({ group: "apps", version: "v1", kind: "Deployment" });
    expect(JSON.stringify(at(patch, "parameters"))).toContain('"fieldValidation"');
  });

  test("the version is that of a Kubernetes", async () => {
    const answer = await send(world, { method: "GET", path: "/version" });
    expect(at(answer.json, "major")).toBe("1");
    expect(Number(String(at(answer.json, "minor")).replace("+", ""))).toBeGreaterThanOrEqual(32);
  });
}
