import { maxStreamId } from "../frame/frame-type.js";
import type { Rate } from "./frame-budget.js";

/**
 * What a peer may cost. Each has a default that no well-behaved peer comes near; a peer that goes beyond one loses its connection
 * (GOAWAY with ENHANCE_YOUR_CALM unless another code is named) and harms nobody else.
 */
export interface ConnectionLimits {
  /** Longest header block as compressed, over HEADERS and CONTINUATIONs. Default 64 KiB. (CONTINUATION flood, CVE-2024-27316) */
  readonly maxHeaderBlockBytes: number;
  /** Most CONTINUATION frames of a header block. Default 16. */
  readonly maxContinuations: number;
  /** Largest header list as decoded, beyond which a request is answered RESOURCE_EXHAUSTED. Default: 16 KiB above the limit of metadata. (HPACK bomb) */
  readonly maxHeaderListBytes: number;
  /** Table for the peer's header blocks (SETTINGS_HEADER_TABLE_SIZE). Default 4 KiB. */
  readonly headerTableBytes: number;
  /** Longest frame taken (SETTINGS_MAX_FRAME_SIZE). Default 16 KiB, the least that there is. */
  readonly maxFrameBytes: number;
  /** Bytes that a stream may send before somebody reads them (SETTINGS_INITIAL_WINDOW_SIZE). Default 256 KiB. */
  readonly streamWindowBytes: number;
  /** Bytes that all streams together may have on the way. Default 1 MiB. */
  readonly connectionWindowBytes: number;
  /** Bytes that came and that nobody has asked for yet, over all streams; beyond it the connection's window stays closed. Default 4 MiB. */
  readonly maxUnreadBytes: number;
  /** Streams reset by the peer, or by this side because of what the peer did. Default 1,000 at once, 200 a second. (CVE-2023-44487, CVE-2025-8671) */
  readonly resets: Rate;
  /** PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown frames; each useful frame earns ten. Default 1,000 at once, 100 a second. */
  readonly idleFrames: Rate;
  /** Time until the peer's preface and SETTINGS are there (TLS handshake included). Default 10 s. */
  readonly handshakeTimeoutMs: number;
  /** Time until this side's SETTINGS are acknowledged; beyond it SETTINGS_TIMEOUT. Default 10 s. */
  readonly settingsTimeoutMs: number;
  /** Time that the peer may take none of what waits for it in the socket. Default 30 s. */
  readonly writeStallMs: number;
  /** The last stream id that a client uses; then it takes no more calls, and another connection is needed. Default 2^31 - 1, the last that there is. */
  readonly lastStreamId: number;
  /** Bytes in the socket's queue from which on a server stops reading, so that answers to frames do not pile up. Default 256 KiB. */
  readonly maxQueuedBytes: number;
}

export const defaultLimits: ConnectionLimits = {
  maxHeaderBlockBytes: 64 * 1024,
  maxContinuations: 16,
  maxHeaderListBytes: 32 * 1024,
  headerTableBytes: 4_096,
  maxFrameBytes: 16 * 1024,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 1024 * 1024,
  maxUnreadBytes: 4 * 1024 * 1024,
  resets: { burst: 1_000, perSecond: 200 },
  idleFrames: { burst: 1_000, perSecond: 100 },
  handshakeTimeoutMs: 10_000,
  settingsTimeoutMs: 10_000,
  writeStallMs: 30_000,
  lastStreamId: maxStreamId,
  maxQueuedBytes: 256 * 1024,
};
