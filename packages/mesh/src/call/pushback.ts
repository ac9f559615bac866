import type { Metadata } from "@weft/wire";

/** What a server that failed a call says about trying again. */
export type Pushback =
  | { readonly t: "none" }
  /** Not to be tried again. */
  | { readonly t: "stop" }
  | { readonly t: "wait"; readonly waitMs: number };

/** Reads `grpc-retry-pushback-ms` (gRFC A6): how long the server wants to be left alone; anything but a number from 0 on means for good. */
export function parsePushback(trailers: Metadata): Pushback {
  for (const [name, value] of trailers) {
    if (name !== "grpc-retry-pushback-ms") continue;
    return typeof value === "string" && /^\d{1,9}$/.test(value) ? { t: "wait", waitMs: Number(value) } : { t: "stop" };
  }
  return { t: "none" };
}
