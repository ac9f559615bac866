import type { Node } from "@weft/contracts/envoy/config/core/v3";
import type { TypeUrl } from "../type-urls.js";
import type { Rejection } from "./subscription.js";

/** How far a client is with one type. */
export interface TypeState {
  readonly type: TypeUrl;
  /** Version of the newest response, if there was one. */
  readonly sent: string | undefined;
  /** Version of the newest response that was acknowledged. */
  readonly acked: string | undefined;
  /** Set when the newest answer was a rejection. */
  readonly rejection: Rejection | undefined;
}

/** A connected client, as of now. */
export interface ConnectedClient {
  readonly node: Node;
  /** `host:port` */
  readonly peer: string;
  /**
   * The newest snapshot of which the client has answered everything that concerns it.
   * Unlike the versions of types, it moves on when a snapshot changes nothing for this client.
   */
  readonly version: string | undefined;
  readonly types: readonly TypeState[];
}
