/** Type URLs of the resources that the mesh knows, by the names of their discovery services. */
export const TypeUrl = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoint: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  route: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
} as const;
export type TypeUrl = (typeof TypeUrl)[keyof typeof TypeUrl];

/**
 * The order in which changes are sent, so that nothing is named before it exists
 * ("Eventual consistency considerations" of the xDS transport protocol: make before break).
 */
export const sendOrder: readonly TypeUrl[] = [TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.listener, TypeUrl.route];

/**
 * Types of which every response holds all that the client subscribed to: what is missing does not exist.
 * Of the others a response may hold only what changed.
 */
export function isWholeState(type: TypeUrl): boolean {
  return type === TypeUrl.listener || type === TypeUrl.cluster;
}

/** The type URL, if it is one that the mesh knows. */
export function parseTypeUrl(text: string): TypeUrl | undefined {
  return sendOrder.find((type) => type === text);
}
