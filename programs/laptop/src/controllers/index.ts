export { startAutoscalers } from "./autoscaling/autoscalers.js";
export { startBudgets } from "./budgets.js";
export { startDatabases } from "./databases.js";
export { startEndpointSlices } from "./endpoint-slices.js";
export { type LoadBalancers, startLoadBalancers } from "./load-balancers.js";
export { startServiceNames } from "./service-names.js";
export { startWorkloads } from "./workloads.js";
