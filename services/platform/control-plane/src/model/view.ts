import type { EndpointGroup, NodePlace } from "./endpoints.js";
import type { ServiceKey } from "./keys.js";
import type { MeshRoute } from "./route.js";
import type { MeshService } from "./service.js";

/** What translation may read: everything that is known, at one moment. */
export interface MeshView {
  service(key: ServiceKey): MeshService | undefined;
  endpointsOf(key: ServiceKey): Iterable<EndpointGroup>;
  node(name: string): NodePlace | undefined;
  /** Routes that have this Service as a parent, whether it exists or not. */
  routesOf(key: ServiceKey): Iterable<MeshRoute>;
  /** Whether a ReferenceGrant lets GRPCRoutes of a namespace name a Service of another. */
  isGranted(fromNamespace: string, service: ServiceKey): boolean;
}
