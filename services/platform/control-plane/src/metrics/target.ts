import { isIP } from "node:net";
import type { Pod } from "@weft/kube";

/** A Pod of the mesh, as far as its figures are concerned. */
export interface Target {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Where its admin port answers. Another address or uid is another process. */
  readonly uid: string;
  readonly host: string;
  readonly port: number;
  /** Takes calls, and is not on its way out: what it says counts. */
  readonly ready: boolean;
}

/** The port of a Pod that belongs to the mesh. */
const portName = "admin";

/** `undefined` for a Pod that has no port named `admin`, or runs no process yet or any more. */
export function targetOf(pod: Pod): Target | undefined {
  const { namespace, name, uid = "", labels = {}, deletionTimestamp } = pod.metadata;
  const host = pod.status?.podIP;
  const port = pod.spec.containers.flatMap(({ ports = [] }) => ports).find((each) => each.name === portName);
  if (namespace === undefined || port === undefined || host === undefined || isIP(host) === 0) return undefined;
  if (pod.status?.phase !== "Running") return undefined;
  const isReady = pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  return {
    namespace,
    name,
    labels,
    uid,
    host,
    port: port.containerPort,
    ready: isReady && deletionTimestamp === undefined,
  };
}

/** Of each Pod only what {@link targetOf} reads: there are many, and they are big. */
export function trimPod(pod: Pod): Pod {
  const { name, namespace, uid, resourceVersion, labels, deletionTimestamp } = pod.metadata;
  return {
    apiVersion: pod.apiVersion,
    kind: pod.kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(labels === undefined ? {} : { labels }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
    spec: {
      containers: pod.spec.containers.map((container) => ({
        name: container.name,
        ports: (container.ports ?? []).filter((each) => each.name === portName),
      })),
    },
    status: {
      phase: pod.status?.phase ?? "Unknown",
      conditions: (pod.status?.conditions ?? []).filter(({ type }) => type === "Ready"),
      ...(pod.status?.podIP === undefined ? {} : { podIP: pod.status.podIP }),
    },
  };
}
