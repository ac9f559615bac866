/** Frame types (RFC 9113 §6). */
export const FrameType = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goaway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

/** Flags of frames; `ack` and `endStream` share a bit, each on its own frame types. */
export const FrameFlag = {
  none: 0x0,
  ack: 0x1,
  endStream: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

/** Length of a frame's header (RFC 9113 §4.1). */
export const frameHeaderBytes = 9;
/** The frame size that every peer takes (RFC 9113 §6.5.2). */
export const minMaxFrameBytes = 16_384;
/** The largest value of SETTINGS_MAX_FRAME_SIZE (RFC 9113 §6.5.2). */
export const maxMaxFrameBytes = 16_777_215;
/** Flow-control window of a connection and, unless SETTINGS says otherwise, of a stream (RFC 9113 §6.9.2). */
export const defaultWindowBytes = 65_535;
/** The largest window, stream id and increment: 2^31 - 1. */
export const maxWindowBytes = 0x7fff_ffff;
export const maxStreamId = 0x7fff_ffff;

/** What a client sends first (RFC 9113 §3.4). */
export const clientPreface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
