import { at, listAt, numberAt, recordAt, textAt } from "./path.js";
import type { Column, Json } from "./resource-kind.js";

/** The columns of `kubectl get`, as its users know them. */

/** How long ago, as kubectl writes it: `45s`, `12m`, `3h20m`, `5d`. */
export function age(since: string, nowMs: number): string {
  const startMs = Date.parse(since);
  if (Number.isNaN(startMs)) return "<unknown>";
  const seconds = Math.max(0, Math.floor((nowMs - startMs) / 1_000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  return days < 8 && hours % 24 !== 0 ? `${days}d${hours % 24}h` : `${days}d`;
}

export const nameColumn: Column = {
  name: "Name",
  type: "string",
  value: (object) => textAt(object, "metadata", "name"),
};
export const ageColumn: Column = {
  name: "Age",
  type: "string",
  value: (object, nowMs) => age(textAt(object, "metadata", "creationTimestamp"), nowMs),
};

const text = (name: string, value: (object: Json) => string, priority = 0): Column => ({
  name,
  type: "string",
  priority,
  value: (object) => value(object) || "<none>",
});
const count = (name: string, value: (object: Json) => number | undefined): Column => ({
  name,
  type: "integer",
  value: (object) => value(object) ?? 0,
});
const pairs = (record: Readonly<Record<string, unknown>>): string =>
  Object.entries(record)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(",");
const names = (values: readonly unknown[], field: string): string =>
  values.map((value) => textAt(value, field)).join(",");
const selector = (object: Json): string => pairs(recordAt(object, "spec", "selector", "matchLabels"));
const templateContainers = (object: Json): readonly unknown[] =>
  listAt(object, "spec", "template", "spec", "containers");

/** What kubectl shows as a Pod's status: the reason that counts most. */
export function podReason(pod: Json): string {
  const statuses = listAt(pod, "status", "containerStatuses");
  let reason = textAt(pod, "status", "reason") || textAt(pod, "status", "phase") || "Pending";
  for (const status of statuses) {
    const waiting = textAt(status, "state", "waiting", "reason");
    const ended = recordAt(status, "state", "terminated");
    if (waiting !== "") reason = waiting;
    else if (ended["reason"] !== undefined) reason = textAt(ended, "reason");
    else if (ended["exitCode"] !== undefined) reason = `ExitCode:${String(ended["exitCode"])}`;
  }
  return textAt(pod, "metadata", "deletionTimestamp") === "" ? reason : "Terminating";
}

function lastRestart(pod: Json): string {
  const ends = listAt(pod, "status", "containerStatuses").map((status) =>
    textAt(status, "lastState", "terminated", "finishedAt"),
  );
  return ends.sort().at(-1) ?? "";
}

export const podColumns: readonly Column[] = [
  nameColumn,
  {
    name: "Ready",
    type: "string",
    value: (pod) => {
      const ready = listAt(pod, "status", "containerStatuses").filter((status) => at(status, "ready") === true);
      return `${ready.length}/${listAt(pod, "spec", "containers").length}`;
    },
  },
  { name: "Status", type: "string", value: podReason },
  {
    name: "Restarts",
    type: "string",
    value: (pod, nowMs) => {
      const restarts = listAt(pod, "status", "containerStatuses").reduce<number>(
        (sum, status) => sum + (numberAt(status, "restartCount") ?? 0),
        0,
      );
      const last = lastRestart(pod);
      return restarts === 0 || last === "" ? String(restarts) : `${restarts} (${age(last, nowMs)} ago)`;
    },
  },
  ageColumn,
  text("IP", (pod) => textAt(pod, "status", "podIP"), 1),
  text("Node", (pod) => textAt(pod, "spec", "nodeName"), 1),
  text("Nominated Node", (pod) => textAt(pod, "status", "nominatedNodeName"), 1),
  text("Readiness Gates", () => "", 1),
];

export const deploymentColumns: readonly Column[] = [
  nameColumn,
  {
    name: "Ready",
    type: "string",
    value: (object) =>
      `${numberAt(object, "status", "readyReplicas") ?? 0}/${numberAt(object, "spec", "replicas") ?? 1}`,
  },
  { name: "Up-to-date", type: "string", value: (object) => String(numberAt(object, "status", "updatedReplicas") ?? 0) },
  {
    name: "Available",
    type: "string",
    value: (object) => String(numberAt(object, "status", "availableReplicas") ?? 0),
  },
  ageColumn,
  text("Containers", (object) => names(templateContainers(object), "name"), 1),
  text("Images", (object) => names(templateContainers(object), "image"), 1),
  text("Selector", selector, 1),
];

export const replicaSetColumns: readonly Column[] = [
  nameColumn,
  count("Desired", (object) => numberAt(object, "spec", "replicas")),
  count("Current", (object) => numberAt(object, "status", "replicas")),
  count("Ready", (object) => numberAt(object, "status", "readyReplicas")),
  ageColumn,
  text("Containers", (object) => names(templateContainers(object), "name"), 1),
  text("Images", (object) => names(templateContainers(object), "image"), 1),
  text("Selector", selector, 1),
];

export const statefulSetColumns: readonly Column[] = [
  nameColumn,
  {
    name: "Ready",
    type: "string",
    value: (object) =>
      `${numberAt(object, "status", "readyReplicas") ?? 0}/${numberAt(object, "spec", "replicas") ?? 1}`,
  },
  ageColumn,
];

function externalIp(service: Json): string {
  const addresses = listAt(service, "status", "loadBalancer", "ingress").map(
    (entry) => textAt(entry, "ip") || textAt(entry, "hostname"),
  );
  if (addresses.length > 0) return addresses.join(",");
  return textAt(service, "spec", "type") === "LoadBalancer" ? "<pending>" : "";
}

export const serviceColumns: readonly Column[] = [
  nameColumn,
  { name: "Type", type: "string", value: (service) => textAt(service, "spec", "type") },
  text("Cluster-IP", (service) => textAt(service, "spec", "clusterIP")),
  text("External-IP", externalIp),
  text("Port(s)", (service) =>
    listAt(service, "spec", "ports")
      .map((port) => {
        const nodePort = numberAt(port, "nodePort");
        return `${String(at(port, "port"))}${nodePort === undefined ? "" : `:${nodePort}`}/${textAt(port, "protocol")}`;
      })
      .join(","),
  ),
  ageColumn,
  text("Selector", (service) => pairs(recordAt(service, "spec", "selector")), 1),
];

export const endpointSliceColumns: readonly Column[] = [
  nameColumn,
  text("AddressType", (slice) => textAt(slice, "addressType")),
  text("Ports", (slice) =>
    listAt(slice, "ports")
      .map((port) => String(at(port, "port") ?? "*"))
      .join(","),
  ),
  text("Endpoints", (slice) => {
    const addresses = listAt(slice, "endpoints").flatMap((endpoint) => listAt(endpoint, "addresses"));
    const more = addresses.length > 3 ? ` + ${addresses.length - 3} more...` : "";
    return `${addresses.slice(0, 3).join(",")}${more}`;
  }),
  ageColumn,
];

export const grpcRouteColumns: readonly Column[] = [
  nameColumn,
  {
    name: "Hostnames",
    type: "string",
    value: (route) => {
      const hostnames = listAt(route, "spec", "hostnames");
      return hostnames.length === 0 ? undefined : JSON.stringify(hostnames);
    },
  },
  ageColumn,
];

export const namespaceColumns: readonly Column[] = [
  nameColumn,
  { name: "Status", type: "string", value: (object) => textAt(object, "status", "phase") },
  ageColumn,
];

export const nodeColumns: readonly Column[] = [
  nameColumn,
  {
    name: "Status",
    type: "string",
    value: (node) => {
      const ready = listAt(node, "status", "conditions").find((condition) => at(condition, "type") === "Ready");
      return at(ready, "status") === "True" ? "Ready" : "NotReady";
    },
  },
  text("Roles", (node) =>
    Object.keys(recordAt(node, "metadata", "labels"))
      .filter((key) => key.startsWith("node-role.kubernetes.io/"))
      .map((key) => key.slice("node-role.kubernetes.io/".length))
      .join(","),
  ),
  ageColumn,
  text("Version", (node) => textAt(node, "status", "nodeInfo", "kubeletVersion")),
  text(
    "Internal-IP",
    (node) => {
      const internal = listAt(node, "status", "addresses").find((entry) => at(entry, "type") === "InternalIP");
      return textAt(internal, "address");
    },
    1,
  ),
];

export const configMapColumns: readonly Column[] = [
  nameColumn,
  count("Data", (object) => Object.keys({ ...recordAt(object, "data"), ...recordAt(object, "binaryData") }).length),
  ageColumn,
];

export const secretColumns: readonly Column[] = [
  nameColumn,
  { name: "Type", type: "string", value: (object) => textAt(object, "type") },
  count("Data", (object) => Object.keys(recordAt(object, "data")).length),
  ageColumn,
];

export const eventColumns: readonly Column[] = [
  {
    name: "Last Seen",
    type: "string",
    value: (event, nowMs) =>
      age(
        textAt(event, "lastTimestamp") ||
          textAt(event, "eventTime") ||
          textAt(event, "firstTimestamp") ||
          textAt(event, "metadata", "creationTimestamp"),
        nowMs,
      ),
  },
  { name: "Type", type: "string", value: (event) => textAt(event, "type") },
  { name: "Reason", type: "string", value: (event) => textAt(event, "reason") },
  {
    name: "Object",
    type: "string",
    value: (event) =>
      `${textAt(event, "involvedObject", "kind").toLowerCase()}/${textAt(event, "involvedObject", "name")}`,
  },
  text("Source", (event) => textAt(event, "source", "component") || textAt(event, "reportingComponent"), 1),
  { name: "Message", type: "string", value: (event) => textAt(event, "message") },
  { name: "Count", type: "integer", priority: 1, value: (event) => numberAt(event, "count") ?? 1 },
  { ...nameColumn, priority: 1 },
];

export const networkPolicyColumns: readonly Column[] = [
  nameColumn,
  text("Pod-Selector", (policy) => pairs(recordAt(policy, "spec", "podSelector", "matchLabels"))),
  ageColumn,
];

export const bindingColumns: readonly Column[] = [
  nameColumn,
  {
    name: "Role",
    type: "string",
    value: (binding) => `${textAt(binding, "roleRef", "kind")}/${textAt(binding, "roleRef", "name")}`,
  },
  ageColumn,
];

export const createdColumns: readonly Column[] = [
  nameColumn,
  { name: "Created At", type: "string", value: (object) => textAt(object, "metadata", "creationTimestamp") },
];

export const autoscalerColumns: readonly Column[] = [
  nameColumn,
  text(
    "Reference",
    (object) =>
      `${textAt(object, "spec", "scaleTargetRef", "kind")}/${textAt(object, "spec", "scaleTargetRef", "name")}`,
  ),
  text("Targets", (object) =>
    listAt(object, "spec", "metrics")
      .map((metric) => {
        const pods = recordAt(metric, "pods");
        const share = at(metric, "resource", "target", "averageUtilization");
        if (share !== undefined) return `${textAt(metric, "resource", "name")}: <unknown>/${String(share)}%`;
        if (textAt(metric, "type") !== "Pods") return "<unknown>";
        const now = listAt(object, "status", "currentMetrics").find(
          (entry) => textAt(entry, "pods", "metric", "name") === textAt(pods, "metric", "name"),
        );
        return `${textAt(now, "pods", "current", "averageValue") || "<unknown>"}/${String(at(pods, "target", "averageValue"))}`;
      })
      .join(", "),
  ),
  count("MinPods", (object) => numberAt(object, "spec", "minReplicas")),
  count("MaxPods", (object) => numberAt(object, "spec", "maxReplicas")),
  count("Replicas", (object) => numberAt(object, "status", "currentReplicas")),
  ageColumn,
];

export const budgetColumns: readonly Column[] = [
  nameColumn,
  { name: "Min Available", type: "string", value: (object) => String(at(object, "spec", "minAvailable") ?? "N/A") },
  { name: "Max Unavailable", type: "string", value: (object) => String(at(object, "spec", "maxUnavailable") ?? "N/A") },
  count("Allowed Disruptions", (object) => numberAt(object, "status", "disruptionsAllowed")),
  ageColumn,
];

export const leaseColumns: readonly Column[] = [
  nameColumn,
  { name: "Holder", type: "string", value: (object) => textAt(object, "spec", "holderIdentity") },
  ageColumn,
];

export const plainColumns: readonly Column[] = [nameColumn, ageColumn];
