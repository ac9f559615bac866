import type { PodFigures } from "../metrics/scraper.js";

export const group = "custom.metrics.k8s.io";

/** What a HorizontalPodAutoscaler of any Kubernetes from 1.23 on asks for; it takes the newest that it and the server know. */
export const versions = ["v1beta2", "v1beta1"] as const;
export type Version = (typeof versions)[number];

export const metrics: ReadonlyMap<string, (figures: PodFigures) => number> = new Map([
  ["grpc_server_calls_per_second", (figures: PodFigures) => figures.callsPerSecond],
  ["grpc_server_calls_in_flight", (figures: PodFigures) => figures.callsInFlight],
]);

const groupVersions = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
const groupEntry = { name: group, versions: groupVersions, preferredVersion: groupVersions[0] };

/** `/apis` */
export const apiGroupList = { kind: "APIGroupList", apiVersion: "v1", groups: [groupEntry] };

/** `/apis/custom.metrics.k8s.io` */
export const apiGroup = { kind: "APIGroup", apiVersion: "v1", ...groupEntry };

/** `/openapi/…`: no schemas, said in a way that an API server which collects them understands. */
export const openApi: ReadonlyMap<string, object> = new Map<string, object>([
  ["v2", { swagger: "2.0", info: { title: group, version: "unversioned" }, paths: {} }],
  ["v3", { paths: {} }],
]);

/** `/apis/custom.metrics.k8s.io/<version>` */
export function resourceList(version: Version): object {
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: `${group}/${version}`,
    resources: [...metrics.keys()].map((name) => ({
      name: `pods/${name}`,
      singularName: "",
      namespaced: true,
      kind: "MetricValueList",
      verbs: ["get"],
    })),
  };
}

/** The values of one metric, in the order of the Pods. */
export function metricValueList(version: Version, metric: string, pods: readonly PodFigures[]): object {
  const read = metrics.get(metric);
  return {
    kind: "MetricValueList",
    apiVersion: `${group}/${version}`,
    metadata: {},
    items: read === undefined ? [] : pods.map((pod) => metricValue(version, metric, { pod, value: read(pod) })),
  };
}

function metricValue(
  version: Version,
  metric: string,
  { pod, value }: { readonly pod: PodFigures; readonly value: number },
): object {
  const common = {
    describedObject: { kind: "Pod", namespace: pod.namespace, name: pod.name, apiVersion: "v1" },
    timestamp: new Date(pod.takenWallMs).toISOString().replace(/\.\d+Z$/, "Z"),
    value: quantity(value),
  };
  const seconds = Math.round(pod.windowMs / 1_000);
  return version === "v1beta2"
    ? { ...common, metric: { name: metric, selector: null }, windowSeconds: seconds }
    : { ...common, metricName: metric, window: seconds, selector: null };
}

/** Kubernetes' resource.Quantity, to the thousandth. */
function quantity(value: number): string {
  const thousandths = Math.round(value * 1_000);
  return thousandths % 1_000 === 0 ? String(thousandths / 1_000) : `${thousandths}m`;
}

/** meta/v1 Status: the body of every refusal. */
export function statusDocument(code: number, reason: string, message: string): object {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
}
