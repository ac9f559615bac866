/** Which snapshot of which control plane something came from. */
export interface SnapshotVersion {
  /** `control_plane.identifier`; empty when the server gave none. */
  readonly identifier: string;
  /** `version_info`: Weft's control plane sends a decimal number that only grows. */
  readonly version: string;
}

/**
 * How `next` stands to `held`. Versions are compared as numbers, and only within one control plane:
 * those of different control planes, and those that are no numbers, say nothing about which is newer.
 */
export function compareVersions(
  next: SnapshotVersion,
  held: SnapshotVersion,
): "older" | "same" | "newer" | "unrelated" {
  if (next.identifier === "" || next.identifier !== held.identifier) return "unrelated";
  if (!/^\d{1,40}$/.test(next.version) || !/^\d{1,40}$/.test(held.version)) return "unrelated";
  const [a, b] = [BigInt(next.version), BigInt(held.version)];
  return a < b ? "older" : a === b ? "same" : "newer";
}
