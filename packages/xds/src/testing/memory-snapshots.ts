import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Cluster, ClusterSchema } from "@weft/contracts/envoy/config/cluster/v3";
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from "@weft/contracts/envoy/config/endpoint/v3";
import { type Listener, ListenerSchema } from "@weft/contracts/envoy/config/listener/v3";
import { type RouteConfiguration, RouteConfigurationSchema } from "@weft/contracts/envoy/config/route/v3";
import { type EncodedResource, encodeResource } from "../resource.js";
import type { Snapshot, SnapshotCache } from "../server/snapshot.js";
import { TypeUrl } from "../type-urls.js";

/** Encodes a cluster under its name. */
export function clusterResource(init: MessageInitShape<typeof ClusterSchema>): EncodedResource {
  const message: Cluster = create(ClusterSchema, init);
  return encodeResource(TypeUrl.cluster, message.name, ClusterSchema, message);
}

/** Encodes the endpoints of a cluster under its name. */
export function endpointResource(init: MessageInitShape<typeof ClusterLoadAssignmentSchema>): EncodedResource {
  const message: ClusterLoadAssignment = create(ClusterLoadAssignmentSchema, init);
  return encodeResource(TypeUrl.endpoint, message.clusterName, ClusterLoadAssignmentSchema, message);
}

/** Encodes a listener under its name. */
export function listenerResource(init: MessageInitShape<typeof ListenerSchema>): EncodedResource {
  const message: Listener = create(ListenerSchema, init);
  return encodeResource(TypeUrl.listener, message.name, ListenerSchema, message);
}

/** Encodes a route configuration under its name. */
export function routeResource(init: MessageInitShape<typeof RouteConfigurationSchema>): EncodedResource {
  const message: RouteConfiguration = create(RouteConfigurationSchema, init);
  return encodeResource(TypeUrl.route, message.name, RouteConfigurationSchema, message);
}

/** A cache that holds one snapshot for all clients and is told what is in it. */
export class MemorySnapshots implements SnapshotCache {
  readonly #listeners = new Set<() => void>();
  #snapshot: Snapshot | undefined;

  /** Replaces the snapshot whole. */
  publish(version: string, resources: readonly EncodedResource[]): void {
    const byType = new Map<TypeUrl, Map<string, EncodedResource>>();
    for (const resource of resources) {
      const named = byType.get(resource.type) ?? new Map<string, EncodedResource>();
      byType.set(resource.type, named.set(resource.name, resource));
    }
    this.#snapshot = {
      version,
      all: (type) => byType.get(type)?.values() ?? [],
      get: (type, name) => byType.get(type)?.get(name),
    };
    for (const listener of [...this.#listeners]) listener();
  }

  /** Gives the same resources a newer version, and tells nobody. */
  raise(version: string): void {
    if (this.#snapshot !== undefined) this.#snapshot = { ...this.#snapshot, version };
  }

  snapshotFor(): Snapshot | undefined {
    return this.#snapshot;
  }

  watch(listener: () => void): Disposable {
    const entry = (): void => listener();
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }
}
