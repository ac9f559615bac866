export {
  clusterResource,
  endpointResource,
  listenerResource,
  MemorySnapshots,
  routeResource,
} from "./memory-snapshots.js";
export { ScriptedAdsClient, type ScriptedRequest } from "./scripted-client.js";
