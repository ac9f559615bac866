import { Scope, silentLogger } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { createKubeClient, type KubeClient, kinds, startInformer } from "@weft/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startApi } from "../../api/testing/fixture.js";
import { type MetricsServer, startMetricsServer } from "../../api/testing/metrics-server.js";
import { startAutoscalers } from "./autoscalers.js";

const namespace = "default";
const patient = { ceilingMs: 30_000, everyMs: 50 };

/** Calls a second of each Pod, by its name, as the metrics API says. */
const calls = new Map<string, string>();
const scope = new Scope();
let client: KubeClient;
let metrics: MetricsServer;

beforeAll(async () => {
  const api = scope.use(await startApi());
  client = scope.use(createKubeClient(api.admin));
  metrics = scope.use(
    await startMetricsServer(client, {
      answer: () => ({
        json: {
          kind: "MetricValueList",
          items: [...calls].map(([name, value]) => ({ describedObject: { kind: "Pod", namespace, name }, value })),
        },
      }),
    }),
  );
  const autoscalers = scope.use(startInformer({ client, kind: kinds.horizontalPodAutoscaler }));
  const pods = scope.use(startInformer({ client, kind: kinds.pod }));
  for (const { synced } of [autoscalers, pods]) await synced.until((done) => done, AbortSignal.timeout(10_000));
  scope.use(startAutoscalers({ client, autoscalers, pods, logger: silentLogger, everyMs: 50 }));
});

afterAll(() => scope[Symbol.asyncDispose]());

async function deploy(name: string, pods: number): Promise<void> {
  const labels = { app: name };
  const containers = [{ name: "main", image: "registry.invalid/main:1" }];
  await client.create(kinds.deployment, {
    metadata: { name, namespace },
    spec: {
      replicas: pods,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  });
  for (let count = 0; count < pods; count++) {
    const ref = { name: `${name}-${count}`, namespace };
    await client.create(kinds.pod, { metadata: { ...ref, labels }, spec: { nodeName: "laptop", containers } });
    const body = { status: { phase: "Running" } };
    await client.patch(kinds.pod, ref, { t: "merge", body }, { subresource: "status" });
  }
}

async function autoscale(name: string, kind = "Deployment"): Promise<void> {
  await client.create(kinds.horizontalPodAutoscaler, {
    metadata: { name, namespace },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind, name },
      minReplicas: 1,
      maxReplicas: 3,
      metrics: [
        { type: "Pods", pods: { metric: { name: "calls" }, target: { type: "AverageValue", averageValue: "10" } } },
      ],
      behavior: { scaleDown: { stabilizationWindowSeconds: 1 } },
    },
  });
}

/** A condition of the autoscaler, once its reason is this one. */
async function reasonOf(name: string, type: string, reason: string): Promise<void> {
  await eventually(
    async () => {
      const { status } = await client.get(kinds.horizontalPodAutoscaler, { name, namespace });
      return status?.conditions?.some((one) => one.type === type && one.reason === reason) === true;
    },
    { ...patient, what: `${name}: ${type} for ${reason}` },
  );
}

async function replicas(name: string, wanted: number): Promise<void> {
  await eventually(async () => (await client.get(kinds.deployment, { name, namespace })).spec.replicas === wanted, {
    ...patient,
    what: `${name} at ${wanted}`,
  });
}

test("without a metrics API it says so and does nothing; with one it follows the load, and says what it saw", async () => {
  await deploy("web", 1);
  await autoscale("web");
  await reasonOf("web", "ScalingActive", "FailedGetPodsMetric");
  await replicas("web", 1);

  calls.set("web-0", "25");
  await metrics.register(metrics.ca);
  await replicas("web", 3);
  await reasonOf("web", "ScalingActive", "ValidMetricFound");
  await eventually(
    async () => {
      const { status } = await client.get(kinds.horizontalPodAutoscaler, { name: "web", namespace });
      return JSON.stringify(status?.currentMetrics).includes('"averageValue":"25"') && status?.lastScaleTime;
    },
    { ...patient, what: "the metric in the status" },
  );
  const events = await client.list(kinds.event, { namespace });
  expect(events.items.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(/^New size: 3; reason: pods/),
  );

  calls.set("web-0", "1");
  await replicas("web", 1);
  await client.patch(kinds.deployment, { name: "web", namespace }, { t: "merge", body: { spec: { replicas: 0 } } });
  await reasonOf("web", "ScalingActive", "ScalingDisabled");
  await replicas("web", 0);
});

test("what it can't find it names", async () => {
  await autoscale("nobody");
  await reasonOf("nobody", "AbleToScale", "FailedGetScale");
  await autoscale("other", "Whatever");
  await reasonOf("other", "AbleToScale", "FailedGetScale");
});

test("a number out of its bounds is brought into them, metrics or not", async () => {
  await deploy("many", 5);
  await autoscale("many");
  await replicas("many", 3);
});
