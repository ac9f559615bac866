import type { Logger } from "@weft/foundation";
import {
  type Endpoint,
  type EndpointPort,
  type EndpointSlice,
  type Informer,
  isKubeError,
  type KubeClient,
  keyOf,
  kinds,
  type Node,
  type Pod,
  type Service,
  type ServicePort,
} from "@weft/kube";
import { forEach, startController } from "./controller.js";
import { isReady, isTerminating } from "./pod-readiness.js";
import { matchesLabels } from "./selector.js";

const serviceLabel = "kubernetes.io/service-name";
const managerLabel = "endpointslice.kubernetes.io/managed-by";
const manager = "endpointslice-controller.k8s.io";

const conflictMs = 50;

/** Keeps one EndpointSlice for each Service with a selector: its Pods' addresses, and what each is good for. */
export function startEndpointSlices(options: {
  readonly client: KubeClient;
  readonly services: Informer<Service>;
  readonly pods: Informer<Pod>;
  readonly nodes: Informer<Node>;
  readonly slices: Informer<EndpointSlice>;
  readonly logger: Logger;
}): AsyncDisposable {
  const { client, services, pods, nodes, slices } = options;
  const newest = createNewest(slices);
  return startController({
    name: "endpoint-slices",
    triggers: [services.objects, pods.objects, nodes.objects, slices.objects],
    logger: options.logger,
    async reconcile(signal) {
      const zones = zonesOf(nodes.objects.value.values());
      let againMs: number | undefined;
      await forEach(services.objects.value.values(), async (service) => {
        if (service.spec.selector === undefined || service.metadata.deletionTimestamp !== undefined) return;
        const wanted = sliceOf(service, [...pods.objects.value.values()], zones);
        const meta = { ...metaOf(service), name: `${service.metadata.name}-weft` };
        const found = newest.get(keyOf(meta));
        if (found !== undefined && JSON.stringify(contentOf(found)) === JSON.stringify(contentOf(wanted))) return;
        try {
          const written =
            found === undefined
              ? await client.create(kinds.endpointSlice, { ...wanted, metadata: meta }, { signal })
              : await client.replace(
                  kinds.endpointSlice,
                  { ...found, ...wanted, metadata: { ...found.metadata, labels: meta.labels } },
                  { signal },
                );
          newest.set(keyOf(meta), written);
        } catch (error) {
          if (
            !isKubeError(error, "conflict") &&
            !isKubeError(error, "already-exists") &&
            !isKubeError(error, "not-found")
          )
            throw error;
          // Somebody else wrote, or removed it: what the watch says next is the truth again.
          newest.forget(keyOf(meta));
          againMs = conflictMs;
        }
      });
      return againMs;
    },
  });
}

/**
 * The newest version of each slice: what the watch says, or what this controller wrote and the watch has not said yet.
 * A round that went by the watch alone would see its own last write undone, and lose time on the conflict.
 */
function createNewest(slices: Informer<EndpointSlice>) {
  const written = new Map<string, EndpointSlice>();
  const versionOf = (slice: EndpointSlice): bigint => BigInt(slice.metadata.resourceVersion ?? 0);
  return {
    get(key: string): EndpointSlice | undefined {
      const seen = slices.objects.value.get(key);
      const own = written.get(key);
      const watched = BigInt(slices.resourceVersion || 0);
      // Once the watch has passed the write, it knows better: the slice may have been removed since.
      if (own !== undefined && versionOf(own) > watched) return own;
      written.delete(key);
      return seen;
    },
    set: (key: string, slice: EndpointSlice) => void written.set(key, slice),
    forget: (key: string) => void written.delete(key),
  };
}

type SliceContent = Pick<EndpointSlice, "addressType" | "endpoints" | "ports">;

/** What the slice of a Service must say: every Pod that it selects and that has an address, sorted by address. */
export function sliceOf(service: Service, pods: readonly Pod[], zones: ReadonlyMap<string, string>): SliceContent {
  const { spec, metadata } = service;
  const selected = pods.filter(
    (pod) =>
      pod.metadata.namespace === metadata.namespace &&
      pod.status?.podIP !== undefined &&
      pod.status.phase !== "Succeeded" &&
      pod.status.phase !== "Failed" &&
      matchesLabels(spec.selector ?? {}, pod.metadata.labels),
  );
  return {
    addressType: "IPv4",
    endpoints: selected
      .map((pod) => endpointOf(pod, spec.publishNotReadyAddresses === true, zones))
      .toSorted((a, b) => ((a.addresses[0] ?? "") < (b.addresses[0] ?? "") ? -1 : 1)),
    ports: (spec.ports ?? []).map((port) => portOf(port, selected)),
  };
}

function endpointOf(pod: Pod, publishNotReady: boolean, zones: ReadonlyMap<string, string>): Endpoint {
  const serving = isReady(pod);
  const terminating = isTerminating(pod);
  const nodeName = pod.spec.nodeName;
  const zone = nodeName === undefined ? undefined : zones.get(nodeName);
  const { name, namespace, uid } = pod.metadata;
  return {
    addresses: [pod.status?.podIP ?? ""],
    // A Pod on its way out is ready for nothing new, at once, whatever its probes say.
    conditions: { ready: publishNotReady || (serving && !terminating), serving, terminating },
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
    targetRef: {
      kind: "Pod",
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
    },
  };
}

function portOf(port: ServicePort, pods: readonly Pod[]): EndpointPort {
  return {
    ...(port.name === undefined ? {} : { name: port.name }),
    port: targetPortOf(port, pods),
    protocol: port.protocol ?? "TCP",
    ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
  };
}

/** The number of the port on the Pods, where the Service may give its name. */
function targetPortOf({ port, targetPort = port }: ServicePort, pods: readonly Pod[]): number {
  if (typeof targetPort === "number") return targetPort;
  for (const pod of pods) {
    for (const container of pod.spec.containers) {
      const found = container.ports?.find(({ name }) => name === targetPort);
      if (found !== undefined) return found.containerPort;
    }
  }
  // Without a Pod nobody can say; on this machine the two are equal anyway.
  return port;
}

function metaOf(service: Service) {
  const { name, namespace = "default", uid = "" } = service.metadata;
  return {
    namespace,
    labels: { ...service.metadata.labels, [serviceLabel]: name, [managerLabel]: manager },
    ownerReferences: [{ apiVersion: "v1", kind: "Service", name, uid, controller: true, blockOwnerDeletion: true }],
  };
}

/** The compared part, with its fields in one order. */
function contentOf({ addressType, endpoints = [], ports = [] }: SliceContent): unknown {
  return {
    addressType,
    endpoints: endpoints.map(({ addresses, conditions, nodeName, zone, targetRef }) => [
      ...[addresses, conditions?.ready, conditions?.serving, conditions?.terminating, nodeName, zone, targetRef?.uid],
    ]),
    ports: ports.map(({ name, port, protocol, appProtocol }) => [name, port, protocol, appProtocol]),
  };
}

function zonesOf(nodes: Iterable<Node>): ReadonlyMap<string, string> {
  const zones = new Map<string, string>();
  for (const node of nodes) {
    const zone = node.metadata.labels?.["topology.kubernetes.io/zone"];
    if (zone !== undefined) zones.set(node.metadata.name, zone);
  }
  return zones;
}

/** The Service that a slice belongs to, as `namespace/name`. */
export function serviceOf(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels?.[serviceLabel];
  return name === undefined ? undefined : keyOf({ name, namespace: slice.metadata.namespace ?? "default" });
}

/** Addresses of one port of a Service that take new connections now. */
export function readyAddresses(slices: Iterable<EndpointSlice>, service: string): readonly string[] {
  const addresses: string[] = [];
  for (const slice of slices) {
    if (serviceOf(slice) !== service) continue;
    for (const endpoint of slice.endpoints ?? []) {
      // Absent means ready (EndpointConditions).
      if (endpoint.conditions?.ready !== false) addresses.push(...endpoint.addresses);
    }
  }
  return addresses;
}
