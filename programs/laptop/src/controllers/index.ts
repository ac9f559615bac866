export { type Databases, startDatabases } from "./databases.js";
export { startEndpointSlices } from "./endpoint-slices.js";
export { startGarbageCollector } from "./garbage.js";
export { type LoadBalancers, startLoadBalancers } from "./load-balancers.js";
export { startNamespaceDefaults } from "./namespace-defaults.js";
export { startServiceNames } from "./service-names.js";
export { startWorkloads } from "./workloads.js";
