export {
  type AdsClient,
  type AdsClientOptions,
  type AdsStatus,
  adsPath,
  createAdsClient,
  type ResourceCollection,
} from "./client/ads-client.js";
export { notFoundMs, type ResourceSubscription } from "./client/resource-table.js";
export type { ParsedResource, ResourceReport, ResourceState, ResourceType } from "./client/resource-type.js";
export { nothingSaved, type SavedResource, type SavedResources, type SavedType } from "./client/saved.js";
export { compareVersions, type SnapshotVersion } from "./client/version.js";
