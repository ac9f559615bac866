import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { kinds } from "../../kinds/index.js";
import { at, type ContractWorld, deployment, refusalOf, send } from "./fixture.js";

/** What scales: the number of replicas, who owns it, and the autoscalers that change it. */
export function scalingContract(world: ContractWorld): void {
  const ref = (name: string) => ({ namespace: world.namespace, name });
  const scalePath = (name: string) => `/apis/apps/v1/namespaces/${world.namespace}/deployments/${name}/scale`;
  const autoscalers = `/apis/autoscaling/v2/namespaces/${world.namespace}/horizontalpodautoscalers`;

  /** Paused: no controller starts Pods for it, whatever its number of replicas. */
  const paused = (name: string) => {
    const { spec, ...rest } = deployment(world, name);
    const { replicas: _none, ...without } = spec;
    return { ...rest, apiVersion: "apps/v1", kind: "Deployment", spec: { ...without, paused: true } };
  };
  const scale = (name: string, replicas: number) =>
    send(world, {
      method: "PATCH",
      path: scalePath(name),
      query: { fieldManager: "autoscaler" },
      body: { spec: { replicas } },
      contentType: "application/merge-patch+json",
    });
  const applied = (body: ReturnType<typeof paused>) =>
    world.client.patch(kinds.deployment, ref(body.metadata.name ?? ""), {
      t: "apply",
      body,
      fieldManager: "manifests",
    });
  const autoscaler = (name: string, spec: Record<string, unknown> = {}): Record<string, unknown> => ({
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name },
    spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name }, maxReplicas: 3, ...spec },
  });
  const podsMetric = (target: Record<string, unknown>) => ({
    type: "Pods",
    pods: { metric: { name: "calls" }, target },
  });
  const create = (body: unknown) => send(world, { method: "POST", path: autoscalers, body });

  test("a Deployment that names no number of replicas has one, and its scale says so with its selector", async () => {
    const made = await world.client.create(kinds.deployment, paused("plain"));
    expect(made.spec.replicas).toBe(1);
    const { json } = await send(world, { method: "GET", path: scalePath("plain") });
    expect(json).toMatchObject({ kind: "Scale", spec: { replicas: 1 }, status: { selector: "app=plain" } });
  });

  test("a scale that was read before another change is refused", async () => {
    await world.client.create(kinds.deployment, paused("raced"));
    // Controllers of a real cluster write its status meanwhile: read again then.
    const body = await eventually(
      async () => {
        const { json } = await send(world, { method: "GET", path: scalePath("raced") });
        const wanted = { ...fromScale(json), spec: { replicas: 2 } };
        const { code } = await send(world, { method: "PUT", path: scalePath("raced"), body: wanted });
        return code === 200 && wanted;
      },
      { ceilingMs: 30_000 },
    );
    const again = await send(world, { method: "PUT", path: scalePath("raced"), body });
    expect(again.json).toMatchObject({ code: 409, reason: "Conflict" });
    expect((await world.client.get(kinds.deployment, ref("raced"))).spec.replicas).toBe(2);
    expect((await scale("raced", -1)).json).toMatchObject({ code: 422, reason: "Invalid" });
  });

  test("applying a manifest without replicas leaves them as an autoscaler set them", async () => {
    const apply = () => applied(paused("shared"));
    expect((await apply()).spec.replicas).toBe(1);
    expect((await scale("shared", 3)).code).toBe(200);
    expect((await apply()).spec.replicas).toBe(3);
  });

  test("who applied the number of replicas hears that an autoscaler has changed it", async () => {
    const body = paused("fought");
    const numbered = { ...body, spec: { ...body.spec, replicas: 1 } };
    await applied(numbered);
    expect((await scale("fought", 3)).code).toBe(200);
    const refusal = await refusalOf(applied(numbered));
    expect(refusal).toMatchObject({ code: 409, reason: "Conflict" });
    expect(refusal.details?.causes).toEqual([
      expect.objectContaining({ reason: "FieldManagerConflict", field: ".spec.replicas" }),
    ]);
    expect((await applied(body)).spec.replicas).toBe(3);
  });

  test("an autoscaler is filled in: one Pod at least, CPU at 80 %, and the rules of a direction that has some", async () => {
    const { json } = await create(autoscaler("filled"));
    expect(at(json, "spec", "minReplicas")).toBe(1);
    expect(at(json, "spec", "metrics")).toEqual([
      { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } },
    ]);
    expect(at(json, "spec", "behavior")).toBeUndefined();
    const behavior = { scaleDown: { stabilizationWindowSeconds: 15 } };
    const target = { type: "AverageValue", averageValue: "1500m" };
    const rules = await create(autoscaler("ruled", { behavior, metrics: [podsMetric(target)] }));
    expect(at(rules.json, "spec", "behavior")).toEqual({
      scaleUp: {
        stabilizationWindowSeconds: 0,
        selectPolicy: "Max",
        policies: [
          { type: "Pods", value: 4, periodSeconds: 15 },
          { type: "Percent", value: 100, periodSeconds: 15 },
        ],
      },
      scaleDown: {
        stabilizationWindowSeconds: 15,
        selectPolicy: "Max",
        policies: [{ type: "Percent", value: 100, periodSeconds: 15 }],
      },
    });
    expect(at(rules.json, "spec", "metrics")).toEqual([podsMetric(target)]);
  });

  test.each<readonly [string, Record<string, unknown>, string]>([
    ["fewer Pods at most than at least", { minReplicas: 4 }, "spec.maxReplicas"],
    ["no Pods at most", { maxReplicas: 0 }, "spec.maxReplicas"],
    ["a target that names nothing", { scaleTargetRef: { kind: "Deployment", name: "" } }, "spec.scaleTargetRef.name"],
    ["a metric without its source", { metrics: [{ type: "Pods" }] }, "spec.metrics[0].pods"],
    [
      "a metric of Pods without an average",
      { metrics: [podsMetric({ type: "AverageValue" })] },
      "spec.metrics[0].pods.target.averageValue",
    ],
    [
      "an average of nothing",
      { metrics: [podsMetric({ type: "AverageValue", averageValue: "0" })] },
      "spec.metrics[0].pods.target.averageValue",
    ],
    [
      "a window of more than an hour",
      { behavior: { scaleDown: { stabilizationWindowSeconds: 3_601 } } },
      "spec.behavior.scaleDown.stabilizationWindowSeconds",
    ],
    [
      "a policy over more than half an hour",
      { behavior: { scaleUp: { policies: [{ type: "Pods", value: 1, periodSeconds: 1_801 }] } } },
      "spec.behavior.scaleUp.policies[0].periodSeconds",
    ],
    [
      "a policy of no change",
      { behavior: { scaleUp: { policies: [{ type: "Pods", value: 0, periodSeconds: 15 }] } } },
      "spec.behavior.scaleUp.policies[0].value",
    ],
  ])("an autoscaler with %s is refused", async (_what, spec, field) => {
    const { code, json } = await create(autoscaler("refused", spec));
    expect(code).toBe(422);
    const causes: unknown = at(json, "details", "causes");
    expect(Array.isArray(causes) ? causes.map((cause) => at(cause, "field")) : causes).toContain(field);
  });

  test("the status of an autoscaler is written apart from its spec", async () => {
    await create(autoscaler("watched"));
    const status = { currentReplicas: 1, desiredReplicas: 2, currentMetrics: null, conditions: [] };
    const patched = await world.client.patch(
      kinds.horizontalPodAutoscaler,
      ref("watched"),
      { t: "merge", body: { spec: { maxReplicas: 9 }, status } },
      { subresource: "status" },
    );
    expect(patched.status).toMatchObject({ currentReplicas: 1, desiredReplicas: 2 });
    expect(patched.spec.maxReplicas).toBe(3);
    const refusal = await refusalOf(
      world.client.patch(
        kinds.horizontalPodAutoscaler,
        ref("watched"),
        { t: "merge", body: { spec: { maxReplikas: 9 } } },
        { fieldValidation: "Strict" },
      ),
    );
    expect(refusal.message).toContain('unknown field "spec.maxReplikas"');
  });
}

function fromScale(json: unknown): Record<string, unknown> {
  return json as Record<string, unknown>;
}
