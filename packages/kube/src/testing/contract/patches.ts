import { expect, test } from "vitest";
import { kinds } from "../../kinds/index.js";
import { at, type ContractWorld, configMap, deployment, refusalOf, send } from "./fixture.js";

/** The four kinds of patch. */
export function patchesContract(world: ContractWorld): void {
  const ref = (name: string) => ({ namespace: world.namespace, name });
  const containers = (body: unknown) => ({ spec: { template: { spec: { containers: body } } } });

  test("a merge patch sets, and null takes away", async () => {
    await world.client.create(kinds.configMap, configMap(world, "merge", { a: "1", b: "2" }));
    const patched = await world.client.patch(kinds.configMap, ref("merge"), {
      t: "merge",
      body: { data: { a: null, c: "3" } },
    });
    expect(patched.data).toEqual({ b: "2", c: "3" });
  });

  test("a merge patch with a stale version is 409", async () => {
    const made = await world.client.create(kinds.configMap, configMap(world, "merge-stale"));
    await world.client.patch(kinds.configMap, ref("merge-stale"), { t: "merge", body: { data: { a: "1" } } });
    const { resourceVersion } = made.metadata;
    const refusal = await refusalOf(
      world.client.patch(kinds.configMap, ref("merge-stale"), {
        t: "merge",
        body: { metadata: { resourceVersion }, data: { a: "2" } },
      }),
    );
    expect(refusal).toMatchObject({ code: 409, reason: "Conflict" });
  });

  test("a JSON patch adds, replaces, removes and tests", async () => {
    await world.client.create(kinds.configMap, {
      metadata: { ...ref("json"), annotations: { "weft.dev/a": "1" } },
      data: { c: "2" },
    });
    const patched = await world.client.patch(kinds.configMap, ref("json"), {
      t: "json",
      body: [
        { op: "test", path: "/data/c", value: "2" },
        { op: "replace", path: "/metadata/annotations/weft.dev~1a", value: "3" },
        { op: "add", path: "/data/d", value: "4" },
        { op: "remove", path: "/data/c" },
      ],
    });
    expect(patched.data).toEqual({ d: "4" });
    expect(patched.metadata.annotations).toEqual({ "weft.dev/a": "3" });
    const refusal = await refusalOf(
      world.client.patch(kinds.configMap, ref("json"), {
        t: "json",
        body: [{ op: "test", path: "/data/d", value: "no" }],
      }),
    );
    expect(refusal.code).toBe(422);
  });

  test("a strategic merge patch joins containers and their variables by name", async () => {
    await world.client.create(kinds.deployment, deployment(world, "strategic"));
    const patched = await world.client.patch(kinds.deployment, ref("strategic"), {
      t: "strategic",
      body: containers([
        { name: "main", image: "registry.invalid/main:2", env: [{ name: "B", value: "2" }] },
        { name: "third", image: "registry.invalid/third:1" },
      ]),
    });
    const found = patched.spec.template.spec?.containers ?? [];
    expect(found.map((container) => container.name).sort()).toEqual(["main", "side", "third"]);
    const main = found.find((container) => container.name === "main");
    expect(main?.image).toBe("registry.invalid/main:2");
    expect(main?.env?.map((variable) => variable.name).sort()).toEqual(["A", "B"]);
  });

  test("a strategic merge patch deletes from a list and replaces one by directive", async () => {
    await world.client.create(kinds.deployment, deployment(world, "directive"));
    const without = await world.client.patch(kinds.deployment, ref("directive"), {
      t: "strategic",
      body: containers([{ name: "side", $patch: "delete" }]),
    });
    expect(without.spec.template.spec?.containers.map((container) => container.name)).toEqual(["main"]);
    const replaced = await world.client.patch(kinds.deployment, ref("directive"), {
      t: "strategic",
      body: containers([{ $patch: "replace" }, { name: "new", image: "registry.invalid/new:1" }]),
    });
    expect(replaced.spec.template.spec?.containers.map((container) => container.name)).toEqual(["new"]);
  });

  test("a strategic merge patch joins the ports of a Service by number", async () => {
    await world.client.create(kinds.service, {
      metadata: ref("ports"),
      spec: { selector: { app: "ports" }, ports: [{ name: "a", port: 80 }] },
    });
    const patched = await world.client.patch(kinds.service, ref("ports"), {
      t: "strategic",
      body: { spec: { ports: [{ name: "b", port: 81 }] } },
    });
    expect(patched.spec.ports?.map((port) => port.port).sort()).toEqual([80, 81]);
  });

  test("a patch of unknown type is 415", async () => {
    await world.client.create(kinds.configMap, configMap(world, "untyped"));
    const answer = await send(world, {
      method: "PATCH",
      path: `/api/v1/namespaces/${world.namespace}/configmaps/untyped`,
      body: {},
      contentType: "application/json",
    });
    expect(answer.code).toBe(415);
  });

  const intent = (name: string, data: Record<string, string>) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: world.namespace },
    data,
  });
  const apply = (name: string, data: Record<string, string>, fieldManager: string, force?: boolean) =>
    world.client.patch(kinds.configMap, ref(name), {
      t: "apply",
      body: intent(name, data),
      fieldManager,
      ...(force === undefined ? {} : { force }),
    });

  test("server-side apply creates, and takes away what its manager no longer names", async () => {
    const made = await apply("applied", { a: "1", b: "2" }, "one");
    expect(made.data).toEqual({ a: "1", b: "2" });
    const again = await apply("applied", { a: "1" }, "one");
    expect(again.data).toEqual({ a: "1" });
    const same = await apply("applied", { a: "1" }, "one");
    expect(same.metadata.resourceVersion).toBe(again.metadata.resourceVersion);
  });

  test("server-side apply leaves the fields of other managers alone", async () => {
    await apply("shared", { a: "1" }, "one");
    const both = await apply("shared", { b: "2" }, "two");
    expect(both.data).toEqual({ a: "1", b: "2" });
    const one = await apply("shared", { a: "1" }, "one");
    expect(one.data).toEqual({ a: "1", b: "2" });
  });

  test("server-side apply of another's field with another value is a conflict, and force takes it", async () => {
    await apply("fought", { a: "1" }, "one");
    const refusal = await refusalOf(apply("fought", { a: "2" }, "two"));
    expect(refusal).toMatchObject({ code: 409, reason: "Conflict" });
    expect(refusal.message).toContain('conflict with "one"');
    expect(refusal.details?.causes).toEqual([
      { reason: "FieldManagerConflict", message: 'conflict with "one"', field: ".data.a" },
    ]);
    const taken = await apply("fought", { a: "2" }, "two", true);
    expect(taken.data).toEqual({ a: "2" });
    expect(await refusalOf(apply("fought", { a: "3" }, "one"))).toMatchObject({ code: 409 });
  });

  test("server-side apply of the same value is no conflict: both own the field", async () => {
    await apply("agreed", { a: "1" }, "one");
    await apply("agreed", { a: "1" }, "two");
    const left = await apply("agreed", {}, "one");
    expect(left.data).toEqual({ a: "1" });
  });

  test("an ordinary write takes the fields that it changes", async () => {
    await apply("written", { a: "1" }, "one");
    await world.client.patch(
      kinds.configMap,
      ref("written"),
      { t: "merge", body: { data: { a: "2" } } },
      { fieldManager: "hand" },
    );
    const refusal = await refusalOf(apply("written", { a: "1" }, "one"));
    expect(refusal.message).toContain('conflict with "hand"');
  });

  test("server-side apply joins containers by name", async () => {
    await world.client.create(kinds.deployment, deployment(world, "joined"));
    const body = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      ...containers([{ name: "side", env: [{ name: "X", value: "1" }] }]),
    };
    const applied = await world.client.patch(kinds.deployment, ref("joined"), {
      t: "apply",
      body,
      fieldManager: "joiner",
    });
    const side = applied.spec.template.spec?.containers.find((container) => container.name === "side");
    expect(side?.image).toBe("registry.invalid/side:1");
    expect(side?.env).toEqual([{ name: "X", value: "1" }]);
    expect(applied.spec.template.spec?.containers).toHaveLength(2);
  });

  test("a status patch changes the status alone", async () => {
    await world.client.create(kinds.deployment, deployment(world, "status"));
    const patched = await world.client.patch(
      kinds.deployment,
      ref("status"),
      { t: "merge", body: { spec: { paused: true }, status: { collisionCount: 3 } } },
      { subresource: "status" },
    );
    expect(patched.status?.collisionCount).toBe(3);
    expect(patched.spec.paused).toBeUndefined();
  });

  test("scale changes the number of replicas", async () => {
    await world.client.create(kinds.deployment, { ...deployment(world, "scaled") });
    const answer = await send(world, {
      method: "PATCH",
      path: `/apis/apps/v1/namespaces/${world.namespace}/deployments/scaled/scale`,
      body: { spec: { replicas: 0 } },
      contentType: "application/merge-patch+json",
    });
    expect(answer.json).toMatchObject({
      kind: "Scale",
      apiVersion: "autoscaling/v1",
      status: { selector: "app=scaled" },
    });
    // Zero is what a number that is left out means.
    expect(at(answer.json, "spec", "replicas") ?? 0).toBe(0);
  });
}
