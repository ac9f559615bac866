import { ConnectionError, ErrorCode } from "./error-code.js";
import { defaultWindowBytes, maxMaxFrameBytes, maxWindowBytes, minMaxFrameBytes } from "./frame-type.js";

/** Identifiers of SETTINGS (RFC 9113 §6.5.2). */
export const SettingId = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
} as const;

const settingBytes = 6;

/** What one peer has said of itself; before its SETTINGS frame come the values that RFC 9113 §6.5.2 begins with. */
export class PeerSettings {
  headerTableSize = 4_096;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindowSize = defaultWindowBytes;
  maxFrameSize = minMaxFrameBytes;
  maxHeaderListSize = Number.POSITIVE_INFINITY;

  /** Takes the payload of a SETTINGS frame. Unknown identifiers are ignored, as the RFC has it. */
  apply(chunk: Buffer, start: number, end: number): void {
    for (let at = start; at < end; at += settingBytes) this.#set(chunk.readUInt16BE(at), chunk.readUInt32BE(at + 2));
  }

  #set(id: number, value: number): void {
    switch (id) {
      case SettingId.headerTableSize:
        this.headerTableSize = value;
        break;
      case SettingId.enablePush:
        if (value > 1) throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_ENABLE_PUSH is ${value}`);
        break;
      case SettingId.maxConcurrentStreams:
        this.maxConcurrentStreams = value;
        break;
      case SettingId.initialWindowSize:
        if (value > maxWindowBytes) {
          throw new ConnectionError(ErrorCode.flowControlError, `SETTINGS_INITIAL_WINDOW_SIZE is ${value}`);
        }
        this.initialWindowSize = value;
        break;
      case SettingId.maxFrameSize:
        if (value < minMaxFrameBytes || value > maxMaxFrameBytes) {
          throw new ConnectionError(ErrorCode.protocolError, `SETTINGS_MAX_FRAME_SIZE is ${value}`);
        }
        this.maxFrameSize = value;
        break;
      case SettingId.maxHeaderListSize:
        this.maxHeaderListSize = value;
        break;
      default:
        break;
    }
  }
}

/** The payload of a SETTINGS frame. */
export function encodeSettings(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * settingBytes);
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, index * settingBytes);
    payload.writeUInt32BE(value, index * settingBytes + 2);
  }
  return payload;
}
