import type { AdsClient } from "@weft/xds";
import type { TargetReport } from "./resolver/resolver.js";

/** What the mesh believes, and from which version: plain JSON. */
export interface MeshDescription {
  /** Whether a control plane has answered on the stream that is open now. */
  readonly connected: boolean;
  readonly controlPlane?: string;
  /** Which control plane the resources are from: the identity of the cluster. */
  readonly identifier: string;
  /** The newest snapshot that something was taken from. */
  readonly version: string;
  /** Why there is no connection, if there is none. */
  readonly cause?: string;
  readonly resources: readonly {
    /** Last part of the type URL, such as `Listener`. */
    readonly type: string;
    readonly name: string;
    readonly version: string;
    readonly state: string;
    readonly error?: string;
  }[];
  readonly targets: readonly TargetReport[];
  readonly mtls: "DISABLED";
}

/** Puts the description together. */
export function describeMesh(parts: {
  readonly controlPlane: string | undefined;
  readonly ads: AdsClient | undefined;
  readonly targets: readonly TargetReport[];
}): MeshDescription {
  const { ads, controlPlane } = parts;
  const status = ads?.status.value;
  return {
    connected: status?.t === "connected" && status.answered,
    ...(controlPlane === undefined ? {} : { controlPlane }),
    identifier: ads?.position.identifier ?? "",
    version: ads?.position.version ?? "",
    ...(status?.t === "disconnected" ? { cause: status.cause } : {}),
    resources: (ads?.reports() ?? []).map(({ typeUrl, name, version, state, error }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf(".") + 1),
      name,
      version,
      state,
      ...(error === undefined ? {} : { error }),
    })),
    targets: parts.targets,
    mtls: "DISABLED",
  };
}
