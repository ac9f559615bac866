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
export { type EncodedResource, encodeResource, packAny, sameResource, unpackAny } from "./resource.js";
export { type AdsServer, type AdsServerOptions, createAdsServer } from "./server/ads-server.js";
export type { ConnectedClient, TypeState } from "./server/connected-client.js";
export type { Snapshot, SnapshotCache } from "./server/snapshot.js";
export type { Rejection } from "./server/subscription.js";
export { parseTypeUrl, sendOrder, TypeUrl } from "./type-urls.js";
