export {
  clusterOf,
  type EndpointInit,
  type RouteInit,
  routedTarget,
  routeTo,
  serverListener,
  TestControlPlane,
} from "./test-control-plane.js";
