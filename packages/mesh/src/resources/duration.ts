import type { Duration } from "@bufbuild/protobuf/wkt";

/** A protobuf duration in milliseconds; below 0 counts as 0. */
export function durationMs(duration: Duration): number {
  return Math.max(0, Number(duration.seconds) * 1_000 + duration.nanos / 1_000_000);
}
