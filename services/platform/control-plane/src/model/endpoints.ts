import type { ServiceKey } from "./keys.js";

/** Some endpoints of a Service: one EndpointSlice. */
export interface EndpointGroup {
  readonly service: ServiceKey;
  readonly family: "IPv4" | "IPv6";
  /** Port numbers by the port's name in the Service. */
  readonly ports: ReadonlyMap<string, number>;
  readonly endpoints: readonly MeshEndpoint[];
}

export interface MeshEndpoint {
  readonly address: string;
  readonly state: EndpointState;
  readonly zone: string | undefined;
  readonly nodeName: string | undefined;
}

/**
 * `terminating` still serves, and is used only while nothing is ready.
 * What neither is ready nor serves is no endpoint at all.
 */
export type EndpointState = "ready" | "terminating";

/** Where a node stands. */
export interface NodePlace {
  readonly region: string;
  readonly zone: string;
}
