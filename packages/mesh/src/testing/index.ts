export { runPickerContract } from "./picker-contract.js";
export {
  clusterOf,
  type EndpointInit,
  type RouteInit,
  routedTarget,
  routeTo,
  TestControlPlane,
} from "./test-control-plane.js";
