import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { kinds } from "../../kinds/index.js";
import { anyKind } from "../../object.js";
import { type ContractWorld, configMap, deployment, refusalOf } from "./fixture.js";

/** Creating, reading, replacing and deleting. */
export function objectsContract(world: ContractWorld): void {
  const ref = (name: string) => ({ namespace: world.namespace, name });

  test("a created object has a uid, a version and a time, and is read back the same", async () => {
    const made = await world.client.create(kinds.configMap, configMap(world, "made", { a: "1" }));
    expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(made.metadata.resourceVersion).toMatch(/^\d+$/);
    expect(made.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(made.data).toEqual({ a: "1" });
    expect(await world.client.get(kinds.configMap, ref("made"))).toEqual(made);
  });

  test("an object that is not there is 404 with its name", async () => {
    const refusal = await refusalOf(world.client.get(kinds.configMap, ref("nobody")));
    expect(refusal).toMatchObject({ code: 404, reason: "NotFound", decision: "not-found" });
    expect(refusal.message).toBe('configmaps "nobody" not found');
    expect(refusal.details).toMatchObject({ name: "nobody", kind: "configmaps" });
  });

  test("a kind that is not served is 404", async () => {
    const nothing = anyKind({
      group: "nothing.example",
      version: "v1",
      kind: "Thing",
      plural: "things",
      namespaced: true,
    });
    const refusal = await refusalOf(world.client.list(nothing, { namespace: world.namespace }));
    expect(refusal).toMatchObject({ code: 404, reason: "NotFound" });
  });

  test("a create in a namespace that is not there is 404", async () => {
    const refusal = await refusalOf(
      world.client.create(kinds.configMap, { metadata: { name: "a", namespace: "weft-no-such-namespace" } }),
    );
    expect(refusal).toMatchObject({ code: 404, message: 'namespaces "weft-no-such-namespace" not found' });
  });

  test("a create of what exists is 409 AlreadyExists", async () => {
    await world.client.create(kinds.configMap, configMap(world, "twice"));
    const refusal = await refusalOf(world.client.create(kinds.configMap, configMap(world, "twice")));
    expect(refusal).toMatchObject({ code: 409, reason: "AlreadyExists", decision: "already-exists" });
    expect(refusal.message).toBe('configmaps "twice" already exists');
  });

  test("generateName makes a new name each time", async () => {
    const template = { metadata: { generateName: "many-", namespace: world.namespace } };
    const [a, b] = await Promise.all([
      world.client.create(kinds.configMap, template),
      world.client.create(kinds.configMap, template),
    ]);
    expect(a.metadata.name).toMatch(/^many-[a-z0-9]{5}$/);
    expect(a.metadata.name).not.toBe(b.metadata.name);
  });

  test("a replace of a stale version is 409 Conflict, of the newest one is taken", async () => {
    const first = await world.client.create(kinds.configMap, configMap(world, "stale", { a: "1" }));
    const second = await world.client.replace(kinds.configMap, { ...first, data: { a: "2" } });
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
    const refusal = await refusalOf(world.client.replace(kinds.configMap, { ...first, data: { a: "3" } }));
    expect(refusal).toMatchObject({ code: 409, reason: "Conflict", decision: "conflict" });
    expect(refusal.message).toBe(
      'Operation cannot be fulfilled on configmaps "stale": the object has been modified; please apply your changes to the latest version and try again',
    );
  });

  test("a replace that changes nothing keeps the version", async () => {
    const made = await world.client.create(kinds.configMap, configMap(world, "same", { a: "1" }));
    const again = await world.client.replace(kinds.configMap, made);
    expect(again.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
  });

  test("a replace with another uid is 409: it is another object of that name", async () => {
    const made = await world.client.create(kinds.configMap, configMap(world, "other-uid"));
    const uid = "00000000-0000-4000-8000-000000000000";
    const refusal = await refusalOf(
      world.client.replace(kinds.configMap, { ...made, metadata: { ...made.metadata, uid } }),
    );
    expect(refusal).toMatchObject({ code: 409, reason: "Conflict" });
  });

  test("dryRun answers as if and keeps nothing", async () => {
    const made = await world.client.create(kinds.configMap, configMap(world, "dry"), { dryRun: true });
    expect(made.metadata.uid).toBeDefined();
    await refusalOf(world.client.get(kinds.configMap, ref("dry")));
  });

  test("stringData of a Secret becomes data", async () => {
    const made = await world.client.create(kinds.secret, {
      metadata: { name: "words", namespace: world.namespace },
      stringData: { word: "hello" },
    });
    expect(made.data).toEqual({ word: "aGVsbG8=" });
    expect(made.stringData).toBeUndefined();
    expect(made.type).toBe("Opaque");
  });

  test("generation counts changes of the spec and nothing else", async () => {
    const made = await world.client.create(kinds.deployment, deployment(world, "counted"));
    expect(made.metadata.generation).toBe(1);
    const labelled = await world.client.patch(kinds.deployment, ref("counted"), {
      t: "merge",
      body: { metadata: { labels: { more: "yes" } } },
    });
    expect(labelled.metadata.generation).toBe(1);
    const changed = await world.client.patch(kinds.deployment, ref("counted"), {
      t: "merge",
      body: { spec: { minReadySeconds: 5 } },
    });
    expect(changed.metadata.generation).toBe(2);
  });

  test("defaults are filled in", async () => {
    const made = await world.client.create(kinds.deployment, deployment(world, "defaults"));
    expect(made.spec.revisionHistoryLimit).toBe(10);
    expect(made.spec.strategy).toEqual({
      type: "RollingUpdate",
      rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" },
    });
    expect(made.spec.template.spec).toMatchObject({ restartPolicy: "Always", terminationGracePeriodSeconds: 30 });
    expect(made.spec.template.spec?.containers[0]).toMatchObject({ imagePullPolicy: "IfNotPresent" });
  });

  test("status of the main resource is ignored, spec of the status subresource too", async () => {
    const budget = {
      metadata: { name: "isolated", namespace: world.namespace },
      spec: { minAvailable: 1, selector: { matchLabels: { app: "isolated" } } },
      status: { disruptionsAllowed: 7 },
    };
    const made = await world.client.create(kinds.podDisruptionBudget, budget);
    expect(made.status).not.toMatchObject({ disruptionsAllowed: 7 });
    const pod = await world.client.create(kinds.pod, {
      metadata: { name: "isolated", namespace: world.namespace },
      spec: {
        // No scheduler takes it: the Pod stays as this test leaves it.
        schedulerName: "nobody",
        containers: [{ name: "main", image: "registry.invalid/main:1" }],
      },
      status: { phase: "Running", message: "not from here" },
    });
    expect(pod.status).toMatchObject({ phase: "Pending" });
    expect(pod.status?.message).toBeUndefined();
    const answered = await world.client.replaceStatus(kinds.pod, {
      ...pod,
      spec: { ...pod.spec, activeDeadlineSeconds: 5 },
      status: { ...pod.status, message: "from the status" },
    });
    expect(answered.status?.message).toBe("from the status");
    expect(answered.spec.activeDeadlineSeconds).toBeUndefined();
    expect(answered.metadata.generation).toBe(pod.metadata.generation);
    await world.client.delete(kinds.pod, ref("isolated"), { gracePeriodSeconds: 0 });
  });

  test("a finalizer holds a deleted object until it is taken off", async () => {
    await world.client.create(kinds.configMap, {
      metadata: { name: "held", namespace: world.namespace, finalizers: ["weft.dev/test"] },
    });
    await world.client.delete(kinds.configMap, ref("held"));
    const held = await world.client.get(kinds.configMap, ref("held"));
    expect(held.metadata.deletionTimestamp).toBeDefined();
    const added = await refusalOf(
      world.client.patch(kinds.configMap, ref("held"), {
        t: "merge",
        body: { metadata: { finalizers: ["weft.dev/test", "weft.dev/late"] } },
      }),
    );
    expect(added).toMatchObject({ code: 422, reason: "Invalid" });
    await world.client.patch(kinds.configMap, ref("held"), { t: "merge", body: { metadata: { finalizers: null } } });
    expect(await refusalOf(world.client.get(kinds.configMap, ref("held")))).toMatchObject({ code: 404 });
  });

  test("a delete with preconditions that don't hold is 409", async () => {
    const made = await world.client.create(kinds.configMap, configMap(world, "guarded"));
    const wrong = await refusalOf(
      world.client.delete(kinds.configMap, ref("guarded"), {
        preconditions: { uid: "00000000-0000-4000-8000-000000000000" },
      }),
    );
    expect(wrong).toMatchObject({ code: 409, reason: "Conflict" });
    const stale = await refusalOf(
      world.client.delete(kinds.configMap, ref("guarded"), { preconditions: { resourceVersion: "1" } }),
    );
    expect(stale).toMatchObject({ code: 409, reason: "Conflict" });
    await world.client.delete(kinds.configMap, ref("guarded"), { preconditions: { uid: made.metadata.uid ?? "" } });
    expect(await refusalOf(world.client.get(kinds.configMap, ref("guarded")))).toMatchObject({ code: 404 });
  });

  for (const policy of ["Background", "Foreground", "Orphan"] as const) {
    test(`a delete with propagation ${policy} ${policy === "Orphan" ? "leaves" : "takes along"} what the object owns`, async () => {
      const name = policy.toLowerCase();
      const owner = await world.client.create(kinds.configMap, configMap(world, `owner-${name}`));
      await world.client.create(kinds.configMap, {
        metadata: {
          name: `owned-${name}`,
          namespace: world.namespace,
          ownerReferences: [
            {
              apiVersion: "v1",
              kind: "ConfigMap",
              name: owner.metadata.name,
              uid: owner.metadata.uid ?? "",
              blockOwnerDeletion: true,
            },
          ],
        },
      });
      await world.client.delete(kinds.configMap, ref(`owner-${name}`), { propagationPolicy: policy });
      const gone = async (which: string): Promise<boolean> =>
        world.client.get(kinds.configMap, ref(which)).then(
          () => false,
          () => true,
        );
      await eventually(() => gone(`owner-${name}`), { ceilingMs: 30_000, what: "the end of the owner" });
      if (policy === "Orphan") {
        const left = await world.client.get(kinds.configMap, ref(`owned-${name}`));
        expect(left.metadata.ownerReferences).toBeUndefined();
      } else await eventually(() => gone(`owned-${name}`), { ceilingMs: 30_000, what: "the end of what it owned" });
    });
  }
}
