import type { Duplex, Readable } from "node:stream";

/** Which Pod; `uid` tells two Pods of one name apart. */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** What `pods/log` was asked for, complete: the API has checked the container's name and filled it in. */
export interface PodLogRequest {
  readonly container: string;
  /** Goes on until the container is gone or the signal aborts. */
  readonly follow: boolean;
  /** The run before the last restart. */
  readonly previous: boolean;
  /** Puts the RFC 3339 time of writing and a space before each line. */
  readonly timestamps: boolean;
  /** Only the last so many lines. */
  readonly tailLines: number | undefined;
  /** Only lines written at or after this wall-clock time. Milliseconds since the epoch. */
  readonly sinceMs: number | undefined;
  readonly signal: AbortSignal;
}

/** Why a Pod can't be reached; told to the caller as it is, with status 400. */
export class PodUnavailable extends Error {
  override readonly name = "PodUnavailable";
}

/** How the API reaches into Pods. The kubelet implements it. */
export interface PodAccess {
  /** The bytes of a container's log. Throws {@link PodUnavailable} when there is none, such as a container not started yet. */
  logs(pod: PodIdentity, request: PodLogRequest): Promise<Readable>;
  /**
   * A connection to a port of the Pod; port 9465 is its debug socket. Throws {@link PodUnavailable} when nothing listens there.
   * The caller destroys the connection; an abort of the signal destroys it too.
   */
  connect(pod: PodIdentity, port: number, signal: AbortSignal): Promise<Duplex>;
}
