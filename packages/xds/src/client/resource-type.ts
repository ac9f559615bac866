/**
 * What the protocol must know of one xDS resource type; what the resource means is the affair of whoever asks for it.
 */
export interface ResourceType<T> {
  /** Such as `type.googleapis.com/envoy.config.listener.v3.Listener`. */
  readonly typeUrl: string;
  /**
   * A response names every resource there is (LDS and CDS in the state-of-the-world protocol): one that is left out is gone.
   * Other types are only ever added to or changed.
   */
  readonly complete: boolean;
  /** Reads and checks one resource. It must not throw: a resource that is not understood is refused with the reason. */
  parse(bytes: Uint8Array): ParsedResource<T>;
}

export type ParsedResource<T> =
  | { readonly ok: true; readonly name: string; readonly value: T }
  /** `name` is absent when not even that could be read. */
  | { readonly ok: false; readonly name: string | undefined; readonly error: string };

/**
 *   pending ──accepted──> present ──left out of a newer complete response──> absent
 *      │ └──refused──> refused ──accepted──> present                            │
 *      └──15 s without it, though others were answered──> absent ──accepted──> present <──────────accepted───┘
 *
 * Once present, a resource that is refused later stays as it is: `refusal` says why the newer one was not taken.
 */
export type ResourceState<T> =
  | { readonly t: "pending" }
  | { readonly t: "present"; readonly value: T; readonly refusal: string | undefined }
  /** The control plane was asked and has no such resource. */
  | { readonly t: "absent" }
  /** What the control plane sent was not understood, and there is no earlier one. */
  | { readonly t: "refused"; readonly error: string };

/** One resource as it stands, for reports. */
export interface ResourceReport {
  readonly typeUrl: string;
  readonly name: string;
  /** `version_info` of the response that brought what is in use; empty when there is none. */
  readonly version: string;
  readonly state: "pending" | "present" | "absent" | "refused";
  /** Why the newest one was refused, if it was. */
  readonly error: string | undefined;
}
