// One file because it is one state machine: every frame that comes or goes changes the state of the connection or of one of its streams.
import type { Duplex } from "node:stream";
import type { Clock } from "@weft/foundation";
import type { BufferPool } from "../frame/buffer-pool.js";
import { ConnectionError, ErrorCode, errorCodeName } from "../frame/error-code.js";
import { FrameParser, type FrameSink } from "../frame/frame-parser.js";
import {
  clientPreface,
  defaultWindowBytes,
  FrameFlag,
  FrameType,
  frameHeaderBytes,
  maxStreamId,
  maxWindowBytes,
} from "../frame/frame-type.js";
import type { FrameWriter } from "../frame/frame-writer.js";
import { referenceBytes } from "../frame/frame-writer.js";
import { encodeSettings, PeerSettings, SettingId } from "../frame/settings.js";
import { HpackDecoder, HpackError } from "../hpack/decoder.js";
import { HpackEncoder, maxUpdateBytes } from "../hpack/encoder.js";
import type { FieldSection } from "../hpack/field-section.js";
import { type HeaderTemplate, maxFieldBytes } from "../hpack/header-template.js";
import { type Http2Stream, type StreamEnding, StreamState } from "../stream/stream.js";
import { ClosedBy, StreamTable } from "../stream/stream-table.js";
import type { MessageEncoder } from "../transport.js";
import type { FlushQueue } from "./flush-queue.js";
import { FrameBudget } from "./frame-budget.js";
import { Keepalive } from "./keepalive.js";
import type { ConnectionLimits } from "./limits.js";
import { Outbound } from "./outbound.js";
import { SendQueue } from "./send-queue.js";
import { type TimerWheel, WheelTimer } from "./timer-wheel.js";

/** What all connections of a transport share. */
export interface ConnectionEnvironment {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly pool: BufferPool;
  readonly flushQueue: FlushQueue;
}

/** Who made the connection and is told what becomes of it. */
export interface ConnectionOwner {
  /** The peer's SETTINGS have come: it speaks HTTP/2. */
  ready(): void;
  /** A request. Returns the stream that takes it. (A server's; a client is asked for none.) */
  request(streamId: number, section: FieldSection, endStream: boolean): Http2Stream;
  /** Called for each request's stream, after it is in the table. */
  begin(stream: Http2Stream, section: FieldSection, endStream: boolean): void;
  /** The peer takes no new streams. */
  goaway(code: number, debugData: string): void;
  /** The last open stream has ended. */
  idle(): void;
  /** Nothing comes or goes any more. */
  closed(cause: Error | undefined): void;
}

/**
 *   opening ──peer's SETTINGS──> open ──GOAWAY sent or received, finish──> closing ──last stream, sent──> closed
 *      └───────────────────────────┴──── socket lost, rule broken (GOAWAY with the reason) ───────────────^
 */
export const ConnectionPhase = { opening: 0, open: 1, closing: 2, closed: 3 } as const;
export type ConnectionPhase = (typeof ConnectionPhase)[keyof typeof ConnectionPhase];

export interface ConnectionOptions {
  readonly socket: Duplex;
  readonly isServer: boolean;
  readonly owner: ConnectionOwner;
  readonly limits: ConnectionLimits;
  readonly environment: ConnectionEnvironment;
  /** Streams that the peer may have open at once. A client takes none. */
  readonly maxConcurrentStreams: number;
  readonly keepalive: { readonly timeMs: number; readonly timeoutMs: number } | undefined;
}

/** How long a peer gets to read the last bytes, and to close its side. */
const lingerMs = 500;
/** How long after the first GOAWAY the second follows, when the peer does not answer the PING between them. */
const goawayPingMs = 1_000;
const drainPing = Buffer.from("drain\0\0\0", "latin1");
/** Room that is made for a message whose length is not known; a longer one makes its own. */
const encodedBytes = 512;
/** What a useful frame earns of the budget for idle ones. */
const earnedFrames = 10;
/** What a DATA frame that is sent earns, since the peer answers it with WINDOW_UPDATEs. */
const earnedBySending = 2;

/** One HTTP/2 connection (RFC 9113), either side: frames in, frames out, nothing of gRPC. */
export class Http2Connection implements FrameSink {
  readonly isServer: boolean;
  readonly limits: ConnectionLimits;
  readonly environment: ConnectionEnvironment;
  readonly peer = new PeerSettings();
  readonly streams = new StreamTable();
  readonly writer: FrameWriter;
  phase: ConnectionPhase = ConnectionPhase.opening;
  /** What the peer may still be sent, over all streams. */
  sendWindow = defaultWindowBytes;
  /** Bytes that came and that nobody wants yet. */
  unreadBytes = 0;
  readonly #socket: Duplex;
  readonly #owner: ConnectionOwner;
  readonly #parser: FrameParser;
  readonly #decoder: HpackDecoder;
  readonly #encoder = new HpackEncoder();
  readonly #outbound: Outbound;
  readonly #sendQueue: SendQueue;
  readonly #resets: FrameBudget;
  readonly #idleFrames: FrameBudget;
  readonly #keepalive: Keepalive | undefined;
  readonly #maxConcurrentStreams: number;
  readonly #handshakeTimer: WheelTimer;
  readonly #settingsTimer: WheelTimer;
  readonly #goawayTimer: WheelTimer;
  readonly #stallTimer: WheelTimer;
  #receiveWindow: number;
  #returnedBytes = 0;
  #nextStreamId = 1;
  #lastPeerStreamId = 0;
  /** Streams of the peer above it are not looked at any more. */
  #lastAcceptedId = maxStreamId;
  #dataStream: Http2Stream | undefined;
  #dataFlags = 0;
  #dataOverhead = 0;
  readonly #pending: Http2Stream[] = [];
  readonly #unfinished: Http2Stream[] = [];
  #isPaused = false;
  #isDraining = false;
  #isFailed = false;
  /** Why the peer ended the connection, if it said so. */
  #goawayError: Error | undefined;

  constructor(options: ConnectionOptions) {
    const { socket, limits, environment, owner } = options;
    this.isServer = options.isServer;
    this.limits = limits;
    this.environment = environment;
    this.#socket = socket;
    this.#owner = owner;
    this.#maxConcurrentStreams = options.maxConcurrentStreams;
    this.#parser = new FrameParser(this, limits, { expectPreface: options.isServer });
    this.#decoder = new HpackDecoder({
      maxTableBytes: limits.headerTableBytes,
      maxListBytes: limits.maxHeaderListBytes,
    });
    const { pool, flushQueue: queue, wheel, clock } = environment;
    this.#outbound = new Outbound({ socket, pool, queue, fill: () => this.#fill(), backlog: () => this.#backlog() });
    this.writer = this.#outbound.writer;
    this.#sendQueue = new SendQueue(this, this.#outbound);
    const nowMs = (): number => clock.nowMs();
    this.#resets = new FrameBudget(limits.resets, nowMs);
    this.#idleFrames = new FrameBudget(limits.idleFrames, nowMs);
    this.#receiveWindow = Math.max(defaultWindowBytes, limits.connectionWindowBytes);
    this.#handshakeTimer = new WheelTimer(wheel, () =>
      this.destroy(new Error("the peer did not begin to speak HTTP/2")),
    );
    this.#settingsTimer = new WheelTimer(wheel, () =>
      this.#fail(new ConnectionError(ErrorCode.settingsTimeout, "SETTINGS were not acknowledged")),
    );
    this.#goawayTimer = new WheelTimer(wheel, () => this.#goawayAgain());
    this.#stallTimer = new WheelTimer(wheel, () =>
      this.destroy(new Error("the peer takes nothing of what is sent to it")),
    );
    this.#keepalive =
      options.keepalive === undefined
        ? undefined
        : new Keepalive(options.keepalive, wheel, {
            wanted: () => this.isServer || this.streams.size > 0,
            ping: (payload) => this.#control(FrameType.ping, FrameFlag.none, payload),
            lost: () => this.destroy(new Error("the peer does not answer pings")),
          });
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("error", (error) => this.destroy(error));
    socket.on("end", () => this.#ended());
    socket.on("close", () => this.destroy(new Error("the connection was lost")));
    this.#handshakeTimer.set(limits.handshakeTimeoutMs);
    this.#greet();
  }

  // What the layers above ask for.

  /** Opens a stream of this side; it waits for its turn while the peer takes no more at once, and is told by `opened`. */
  open(stream: Http2Stream): void {
    if (this.streams.size < this.peer.maxConcurrentStreams) this.#start(stream);
    else this.#pending.push(stream);
  }

  /** Streams that wait for their turn. */
  get pendingStreams(): readonly Http2Stream[] {
    return this.#pending;
  }

  /** Templates belong to this connection's encoder. Field values must be latin1, names lower case. */
  sendHeaders(stream: Http2Stream, template: HeaderTemplate, fields: readonly string[], endStream: boolean): void {
    const { writer } = this;
    let bound = frameHeaderBytes + maxUpdateBytes + template.maxBytes;
    for (let i = 0; i < fields.length; i += 2) bound += maxFieldBytes(fields[i] ?? "", fields[i + 1] ?? "");
    writer.reserve(bound);
    const start = writer.at + frameHeaderBytes;
    let end = this.#encoder.begin(writer.chunk, start);
    end = this.#encoder.template(writer.chunk, end, template);
    for (let i = 0; i < fields.length; i += 2) {
      end = this.#encoder.field(writer.chunk, end, fields[i] ?? "", fields[i + 1] ?? "");
    }
    stream.headGeneration = writer.generation;
    const flags = endStream ? FrameFlag.endStream : FrameFlag.none;
    if (end - start <= this.peer.maxFrameSize) {
      writer.frameHeader(end - start, FrameType.headers, flags | FrameFlag.endHeaders, stream.id);
      writer.at = end;
    } else {
      this.#splitHeaders(Buffer.from(writer.chunk.subarray(start, end)), flags, stream.id);
    }
    if (endStream) this.sentEnd(stream);
    this.#outbound.request();
  }

  /** The hot path of DATA: a message that fits the windows is written at once, any other waits in its stream. */
  sendMessage(stream: Http2Stream, flag: number, message: Uint8Array): boolean {
    const bytes = message.length + 5;
    if (!this.#fits(stream, bytes)) {
      const prefix = Buffer.allocUnsafe(5);
      prefix[0] = flag;
      prefix.writeUInt32BE(message.length, 1);
      return this.enqueue(stream, prefix, message);
    }
    const { writer } = this;
    writer.reserve(frameHeaderBytes + 5 + (message.length < referenceBytes ? message.length : 0));
    stream.lastFlagsAt = writer.at + 4;
    stream.lastGeneration = writer.generation;
    writer.frameHeader(bytes, FrameType.data, FrameFlag.none, stream.id);
    writer.chunk[writer.at] = flag;
    writer.at += 1;
    writer.uint32(message.length);
    writer.payload(message);
    this.sentData(stream, bytes);
    this.#outbound.request();
    return true;
  }

  /** As {@link sendMessage}, of a message that is written where its frame goes; one that has to wait is copied out again. */
  sendEncoded<Message>(stream: Http2Stream, encoder: MessageEncoder<Message>, message: Message): boolean {
    const { writer } = this;
    writer.reserve(frameHeaderBytes + 5 + encodedBytes);
    const start = writer.at;
    writer.at = start + frameHeaderBytes + 5;
    let length: number;
    try {
      length = encoder.encodeInto(message, writer);
    } catch (error) {
      writer.at = start;
      throw error;
    }
    const end = writer.at;
    writer.at = start;
    if (!this.#fits(stream, length + 5)) {
      const copy = Buffer.from(writer.chunk.subarray(start + frameHeaderBytes, end));
      copy[0] = 0;
      copy.writeUInt32BE(length, 1);
      return this.enqueue(stream, copy);
    }
    stream.lastFlagsAt = start + 4;
    stream.lastGeneration = writer.generation;
    writer.frameHeader(length + 5, FrameType.data, FrameFlag.none, stream.id);
    writer.chunk[writer.at] = 0;
    writer.at += 1;
    writer.uint32(length);
    writer.at = end;
    this.sentData(stream, length + 5);
    this.#outbound.request();
    return true;
  }

  /** Whether so much DATA may be sent at once, in one frame. */
  #fits(stream: Http2Stream, bytes: number): boolean {
    return (
      stream.queuedBytes === 0 &&
      stream.id !== 0 &&
      bytes <= stream.sendWindow &&
      bytes <= this.sendWindow &&
      bytes <= this.peer.maxFrameSize &&
      !this.#outbound.isFull
    );
  }

  /** Takes what was sent from the windows. */
  sentData(stream: Http2Stream, bytes: number): void {
    stream.sendWindow -= bytes;
    this.sendWindow -= bytes;
    this.#idleFrames.earn(earnedBySending);
  }

  /** Puts pieces at the end of what the stream has to send. False when it is more than enough. */
  enqueue(stream: Http2Stream, first: Uint8Array, second?: Uint8Array): boolean {
    const room = this.#sendQueue.enqueue(stream, first, second);
    this.#outbound.request();
    return room;
  }

  endStream(stream: Http2Stream, ending: StreamEnding): void {
    if (stream.queuedBytes > 0 || stream.id === 0) this.#sendQueue.schedule(stream);
    else this.finishSending(stream, ending);
    this.#outbound.request();
  }

  /** Sends what ends a stream of which everything else is sent. */
  finishSending(stream: Http2Stream, ending: StreamEnding): void {
    if (ending.t === "trailers") {
      this.sendHeaders(stream, ending.template, ending.fields, true);
      return;
    }
    const { writer } = this;
    if (stream.lastGeneration === writer.generation) {
      // Its last DATA frame is not sent yet: that one ends the stream, and no empty frame is needed.
      writer.chunk[stream.lastFlagsAt] = FrameFlag.endStream;
    } else {
      writer.reserve(frameHeaderBytes);
      writer.frameHeader(0, FrameType.data, FrameFlag.endStream, stream.id);
    }
    this.sentEnd(stream);
  }

  /** Ends a stream by RST_STREAM, unless it is closed. */
  resetStream(stream: Http2Stream, code: ErrorCode): void {
    if (stream.isClosed) return;
    if (stream.id === 0) {
      const at = this.#pending.indexOf(stream);
      if (at >= 0) this.#pending.splice(at, 1);
      stream.state = StreamState.closed;
      return;
    }
    this.writer.rstStream(stream.id, code);
    this.#close(stream, ClosedBy.resetHere);
    this.#outbound.request();
  }

  consume(stream: Http2Stream, bytes: number): void {
    stream.returnedBytes += bytes;
    if (stream.returnedBytes * 2 >= this.limits.streamWindowBytes && stream.isRemoteOpen && stream.id !== 0) {
      this.writer.windowUpdate(stream.id, stream.returnedBytes);
      stream.receiveWindow += stream.returnedBytes;
      stream.returnedBytes = 0;
      this.#outbound.request();
    }
    this.#returnWindow();
  }

  /**
   * Takes no new streams and closes when none is left: GOAWAY with the highest id, so that the peer opens no more, and when it has seen that (it
   * answers a PING), GOAWAY with the last that was taken (RFC 9113 §6.8).
   */
  drain(): void {
    if (this.phase >= ConnectionPhase.closing) return;
    this.phase = ConnectionPhase.closing;
    if (!this.isServer) {
      this.#closeWhenIdle();
      return;
    }
    this.#isDraining = true;
    this.writer.goaway(maxStreamId, ErrorCode.noError, noBytes);
    this.#control(FrameType.ping, FrameFlag.none, drainPing);
    this.#goawayTimer.set(goawayPingMs);
  }

  /** Closes after what is written is sent. Open streams are lost. */
  finish(code: ErrorCode = ErrorCode.noError, message = ""): void {
    if (this.phase === ConnectionPhase.closed) return;
    this.phase = ConnectionPhase.closing;
    this.writer.goaway(this.#lastPeerStreamId, code, Buffer.from(message.slice(0, 256)));
    // What waits in streams is lost, but not what has been handed over.
    this.#outbound.end();
    this.#closed(undefined);
    const linger = new WheelTimer(this.environment.wheel, () => this.#socket.destroy());
    linger.set(lingerMs);
    this.#socket.once("close", () => linger.clear());
  }

  /** Sends what waits in streams as far as it can be sent now, then closes. */
  flushAndFinish(): void {
    if (this.phase === ConnectionPhase.closed) return;
    this.#outbound.flush();
    this.finish();
  }

  /** Cuts the connection. */
  destroy(cause: Error | undefined): void {
    this.#closed(cause);
    this.#outbound.stop();
    this.#socket.destroy();
  }

  // Frames that come (FrameSink).

  dataFrame(streamId: number, flags: number, length: number): void {
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) {
      throw new ConnectionError(ErrorCode.flowControlError, "DATA beyond the window of the connection");
    }
    this.#returnedBytes += length;
    this.#dataFlags = flags;
    this.#dataOverhead = length;
    const stream = this.streams.get(streamId);
    this.#dataStream = stream;
    if (length > 0) this.#idleFrames.earn(earnedFrames);
    else if ((flags & FrameFlag.endStream) === 0) this.#spendIdle("empty DATA");
    if (stream === undefined) {
      this.#lateFrame(streamId, "DATA");
    } else if (!stream.isRemoteOpen) {
      this.#break(stream, ErrorCode.streamClosed, "DATA after the end of the stream");
    } else {
      stream.receiveWindow -= length;
      if (stream.receiveWindow < 0) this.#break(stream, ErrorCode.flowControlError, "DATA beyond the stream's window");
    }
  }

  dataBytes(chunk: Buffer, start: number, end: number): void {
    this.#dataOverhead -= end - start;
    const stream = this.#dataStream;
    if (stream === undefined || stream.isClosed) return;
    if (stream.declaredBytes >= 0) {
      stream.declaredBytes -= end - start;
      if (stream.declaredBytes < 0) {
        this.breakLength(stream);
        return;
      }
    }
    stream.receiver.data(chunk, start, end);
  }

  dataEnd(): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream === undefined || stream.isClosed) return;
    if (this.#dataOverhead > 0) this.consume(stream, this.#dataOverhead);
    if ((this.#dataFlags & FrameFlag.endStream) === 0) return;
    if (stream.declaredBytes > 0) {
      this.breakLength(stream);
      return;
    }
    this.#remoteEnded(stream);
    stream.receiver.dataEnd();
  }

  headers(streamId: number, flags: number, chunk: Buffer, start: number, end: number): void {
    const section = this.#decode(chunk, start, end);
    const endStream = (flags & FrameFlag.endStream) !== 0;
    const stream = this.streams.get(streamId);
    if (stream !== undefined) {
      this.#moreHeaders(stream, section, endStream);
    } else if (this.isServer && streamId > this.#lastPeerStreamId) {
      this.#request(streamId, section, endStream);
    } else {
      this.#lateFrame(streamId, "HEADERS");
    }
  }

  priority(): void {
    this.#spendIdle("PRIORITY");
  }

  unknownFrame(): void {
    this.#spendIdle("unknown frames");
  }

  rstStream(streamId: number, errorCode: number): void {
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.#requireNotIdle(streamId, "RST_STREAM");
      this.#spendIdle("RST_STREAM");
      return;
    }
    if (this.isServer) this.#spendReset();
    this.#close(stream, ClosedBy.resetByPeer);
    if (errorCode === ErrorCode.refusedStream)
      stream.receiver.closed({ t: "refused", message: "the peer refused the stream" });
    else stream.receiver.closed({ t: "reset", code: errorCode });
  }

  settings(chunk: Buffer, start: number, end: number): void {
    this.#spendIdle("SETTINGS");
    const { initialWindowSize, headerTableSize } = this.peer;
    this.peer.apply(chunk, start, end);
    const change = this.peer.initialWindowSize - initialWindowSize;
    if (change !== 0) {
      for (const stream of this.streams.all()) this.#widen(stream, change);
    }
    if (this.peer.headerTableSize !== headerTableSize) this.#encoder.setPeerTableBytes(this.peer.headerTableSize);
    this.writer.settingsAck();
    this.#outbound.request();
    this.#startPending();
    if (this.phase !== ConnectionPhase.opening) return;
    this.phase = ConnectionPhase.open;
    this.#handshakeTimer.clear();
    this.#keepalive?.start();
    this.#owner.ready();
  }

  settingsAck(): void {
    this.#spendIdle("SETTINGS");
    this.#settingsTimer.clear();
  }

  ping(isAck: boolean, chunk: Buffer, start: number): void {
    const payload = chunk.subarray(start, start + 8);
    if (!isAck) {
      this.#spendIdle("too_many_pings");
      this.#control(FrameType.ping, FrameFlag.ack, payload);
    } else if (this.#isDraining && payload.equals(drainPing)) {
      this.#goawayAgain();
    } else {
      this.#keepalive?.answered();
    }
  }

  goaway(lastStreamId: number, errorCode: number, chunk: Buffer, start: number, end: number): void {
    if (this.phase === ConnectionPhase.closed) return;
    if (this.phase < ConnectionPhase.closing) this.phase = ConnectionPhase.closing;
    const message = "the peer is closing the connection";
    const debugData = chunk.toString("utf8", start, Math.min(end, start + 256));
    if (errorCode !== ErrorCode.noError) {
      this.#goawayError = new Error(`the peer ended the connection with ${errorCodeName(errorCode)}: ${debugData}`);
    }
    for (const stream of [...this.streams.all()]) {
      if (this.isServer || stream.id <= lastStreamId) continue;
      this.#close(stream, ClosedBy.resetByPeer);
      stream.receiver.closed({ t: "refused", message });
    }
    for (const stream of this.#pending.splice(0)) {
      stream.state = StreamState.closed;
      stream.receiver.closed({ t: "refused", message });
    }
    this.#owner.goaway(errorCode, debugData);
    this.#closeWhenIdle();
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#spendIdle("WINDOW_UPDATE");
    if (streamId === 0) {
      this.sendWindow += increment;
      if (increment === 0) throw new ConnectionError(ErrorCode.protocolError, "WINDOW_UPDATE of 0");
      if (this.sendWindow > maxWindowBytes) {
        throw new ConnectionError(ErrorCode.flowControlError, "the window of the connection is beyond 2^31 - 1");
      }
      if (this.#sendQueue.hasWork) this.#outbound.request();
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.#requireNotIdle(streamId, "WINDOW_UPDATE");
    } else if (increment === 0) {
      this.#break(stream, ErrorCode.protocolError, "WINDOW_UPDATE of 0");
    } else if (stream.sendWindow + increment > maxWindowBytes) {
      this.#break(stream, ErrorCode.flowControlError, "the stream's window is beyond 2^31 - 1");
    } else {
      this.#widen(stream, increment);
    }
  }

  // Inside.

  /** The preface, SETTINGS and the window of the connection (RFC 9113 §3.4). */
  #greet(): void {
    const { limits, writer } = this;
    if (!this.isServer) {
      writer.reserve(clientPreface.length);
      writer.copy(clientPreface);
    }
    const settings: (readonly [number, number])[] = [
      [SettingId.headerTableSize, limits.headerTableBytes],
      [SettingId.initialWindowSize, limits.streamWindowBytes],
      [SettingId.maxFrameSize, limits.maxFrameBytes],
      [SettingId.maxHeaderListSize, limits.maxHeaderListBytes],
      this.isServer ? [SettingId.maxConcurrentStreams, this.#maxConcurrentStreams] : [SettingId.enablePush, 0],
    ];
    writer.frame(FrameType.settings, FrameFlag.none, 0, encodeSettings(settings));
    const more = this.#receiveWindow - defaultWindowBytes;
    if (more > 0) writer.windowUpdate(0, more);
    this.#settingsTimer.set(limits.handshakeTimeoutMs + limits.settingsTimeoutMs);
    this.#outbound.request();
  }

  #receive(chunk: Buffer): void {
    if (this.#isFailed || this.phase === ConnectionPhase.closed) return;
    try {
      this.#parser.receive(chunk);
    } catch (error) {
      if (error instanceof ConnectionError) this.#fail(error);
      else if (error instanceof HpackError) this.#fail(new ConnectionError(ErrorCode.compressionError, error.message));
      else throw error;
      return;
    }
    this.#keepalive?.heard();
    this.#returnWindow();
    this.#holdBack();
  }

  /** A server stops reading from a peer that does not read: otherwise answers to its frames would pile up. */
  #holdBack(): void {
    if (!this.isServer || this.#isPaused || this.#outbound.backlogBytes < this.limits.maxQueuedBytes) return;
    this.#outbound.flush();
    if (this.#outbound.backlogBytes < this.limits.maxQueuedBytes) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  #drained(): void {
    this.#stallTimer.clear();
    if (this.#isPaused) {
      this.#isPaused = false;
      this.#socket.resume();
    }
    if (this.#sendQueue.hasWork) this.#outbound.request();
  }

  /** Before a flush: what waits in streams, as far as the windows go; then streams that ended before their requests did. */
  #fill(): void {
    this.#sendQueue.pump();
    for (const stream of this.#unfinished.splice(0)) {
      if (!stream.isClosed) this.resetStream(stream, ErrorCode.noError);
    }
  }

  #backlog(): void {
    if (!this.#stallTimer.isSet && this.phase !== ConnectionPhase.closed)
      this.#stallTimer.set(this.limits.writeStallMs);
  }

  /** The peer ended its side of the socket. */
  #ended(): void {
    if (this.phase === ConnectionPhase.closed) this.#socket.end();
    else this.destroy(new Error("the peer ended the connection"));
  }

  #fail(error: ConnectionError): void {
    if (this.phase === ConnectionPhase.closed) return;
    this.#isFailed = true;
    this.writer.goaway(this.#lastPeerStreamId, error.code, Buffer.from(error.message.slice(0, 256)));
    this.#outbound.end();
    const linger = new WheelTimer(this.environment.wheel, () => this.#socket.destroy());
    linger.set(lingerMs);
    this.#socket.once("close", () => linger.clear());
    this.#closed(error);
  }

  #closed(cause: Error | undefined): void {
    if (this.phase === ConnectionPhase.closed) return;
    this.phase = ConnectionPhase.closed;
    cause = this.#goawayError ?? cause;
    for (const timer of [this.#handshakeTimer, this.#settingsTimer, this.#goawayTimer, this.#stallTimer]) timer.clear();
    this.#keepalive?.stop();
    for (const stream of this.streams.all()) {
      const sent = stream.headGeneration !== this.writer.generation;
      this.#close(stream, ClosedBy.resetByPeer);
      stream.receiver.closed({ t: "lost", cause, sent });
    }
    for (const stream of this.#pending.splice(0)) {
      stream.state = StreamState.closed;
      stream.receiver.closed({ t: "lost", cause, sent: false });
    }
    this.#owner.closed(cause);
  }

  #control(type: FrameType, flags: number, payload: Uint8Array): void {
    this.writer.frame(type, flags, 0, payload);
    this.#outbound.request();
  }

  #splitHeaders(block: Buffer, flags: number, streamId: number): void {
    const { writer } = this;
    const size = this.peer.maxFrameSize;
    for (let at = 0; at < block.length; at += size) {
      const part = block.subarray(at, at + size);
      const end = at + size >= block.length ? FrameFlag.endHeaders : FrameFlag.none;
      if (at === 0) writer.frame(FrameType.headers, flags | end, streamId, part);
      else writer.frame(FrameType.continuation, end, streamId, part);
    }
  }

  #start(stream: Http2Stream): void {
    if (this.#nextStreamId > this.limits.lastStreamId) {
      stream.state = StreamState.closed;
      stream.receiver.closed({ t: "refused", message: "the connection has used up its stream ids" });
      return;
    }
    stream.id = this.#nextStreamId;
    this.#nextStreamId += 2;
    this.#add(stream);
    stream.receiver.opened();
    if (stream.queuedBytes > 0 || stream.ending !== undefined) this.#sendQueue.schedule(stream);
    this.#outbound.request();
    if (this.#nextStreamId > this.limits.lastStreamId) this.drain();
  }

  #add(stream: Http2Stream): void {
    stream.state = StreamState.open;
    stream.sendWindow = this.peer.initialWindowSize;
    stream.receiveWindow = this.limits.streamWindowBytes;
    this.streams.add(stream);
    this.#keepalive?.wake();
  }

  #startPending(): void {
    while (this.#pending.length > 0 && this.streams.size < this.peer.maxConcurrentStreams) {
      const stream = this.#pending.shift();
      if (stream !== undefined) this.#start(stream);
    }
  }

  #decode(chunk: Buffer, start: number, end: number): FieldSection {
    return this.#decoder.decode(chunk, start, end);
  }

  #request(streamId: number, section: FieldSection, endStream: boolean): void {
    if (streamId % 2 === 0) throw new ConnectionError(ErrorCode.protocolError, `a client opened stream ${streamId}`);
    this.#lastPeerStreamId = streamId;
    if (streamId > this.#lastAcceptedId) {
      this.streams.remember(streamId, ClosedBy.resetHere);
      return;
    }
    if (this.streams.size >= this.#maxConcurrentStreams) {
      this.#spendReset();
      this.writer.rstStream(streamId, ErrorCode.refusedStream);
      this.streams.remember(streamId, ClosedBy.resetHere);
      this.#outbound.request();
      return;
    }
    this.#idleFrames.earn(earnedFrames);
    const stream = this.#owner.request(streamId, section, endStream);
    stream.id = streamId;
    this.#add(stream);
    if (endStream) this.#remoteEnded(stream);
    this.#owner.begin(stream, section, endStream);
  }

  #moreHeaders(stream: Http2Stream, section: FieldSection, endStream: boolean): void {
    if (!stream.isRemoteOpen) {
      this.#break(stream, ErrorCode.streamClosed, "HEADERS after the end of the stream");
      return;
    }
    if (this.isServer && !endStream) {
      this.#break(stream, ErrorCode.protocolError, "trailers that do not end the stream");
      return;
    }
    if (endStream && stream.declaredBytes > 0) {
      this.breakLength(stream);
      return;
    }
    if (!this.isServer) this.#idleFrames.earn(earnedFrames);
    if (endStream) this.#remoteEnded(stream);
    stream.receiver.headers(section, endStream);
  }

  /** The layer above found that the peer broke a rule on a stream (RFC 9113 §5.4.2). */
  breakStream(stream: Http2Stream, code: ErrorCode): void {
    if (this.isServer) this.#spendReset();
    this.resetStream(stream, code);
  }

  /** A body of another length than declared makes its message malformed (RFC 9113 §8.1.1). */
  breakLength(stream: Http2Stream): void {
    this.#break(stream, ErrorCode.protocolError, "the body is not as long as content-length says");
  }

  #break(stream: Http2Stream, code: ErrorCode, message: string): void {
    this.breakStream(stream, code);
    stream.receiver.closed({ t: "broken", code, message });
  }

  /** A frame for a stream that is not open (RFC 9113 §5.1): late ones of a stream that this side reset are nothing unusual. */
  #lateFrame(streamId: number, frame: string): void {
    const how = this.streams.closedBy(streamId);
    if (how === ClosedBy.resetHere) {
      this.#spendLate(frame);
      return;
    }
    this.#requireNotIdle(streamId, frame);
    if (how === ClosedBy.nobody && frame === "HEADERS") {
      throw new ConnectionError(ErrorCode.protocolError, `stream ${streamId} comes after a later one`);
    }
    if (how !== ClosedBy.nobody)
      throw new ConnectionError(ErrorCode.streamClosed, `${frame} on closed stream ${streamId}`);
    this.#spendLate(frame);
    this.writer.rstStream(streamId, ErrorCode.streamClosed);
    this.#outbound.request();
  }

  /** DATA on its way when a stream was reset is bounded by the window; anything else has to be paid for. */
  #spendLate(frame: string): void {
    if (frame !== "DATA") this.#spendIdle(frame);
  }

  #requireNotIdle(streamId: number, frame: string): void {
    const isOurs = streamId % 2 === (this.isServer ? 0 : 1);
    const isIdle = isOurs
      ? this.isServer || streamId >= this.#nextStreamId
      : !this.isServer || streamId > this.#lastPeerStreamId;
    if (isIdle) throw new ConnectionError(ErrorCode.protocolError, `${frame} on idle stream ${streamId}`);
  }

  #widen(stream: Http2Stream, bytes: number): void {
    stream.sendWindow += bytes;
    if (stream.sendWindow > maxWindowBytes) {
      throw new ConnectionError(ErrorCode.flowControlError, "a stream's window is beyond 2^31 - 1");
    }
    if (stream.queuedBytes === 0) return;
    this.#sendQueue.schedule(stream);
    this.#outbound.request();
  }

  #returnWindow(): void {
    if (this.#returnedBytes * 2 < this.limits.connectionWindowBytes || this.unreadBytes > this.limits.maxUnreadBytes)
      return;
    this.writer.windowUpdate(0, this.#returnedBytes);
    this.#receiveWindow += this.#returnedBytes;
    this.#returnedBytes = 0;
    this.#outbound.request();
  }

  /** END_STREAM is written. */
  sentEnd(stream: Http2Stream): void {
    if (stream.state === StreamState.halfClosedRemote) {
      this.#close(stream, ClosedBy.end);
      return;
    }
    stream.state = StreamState.halfClosedLocal;
    // A server that has answered does not want the rest of the request: the peer is told with the flush, unless it ends by itself before.
    if (this.isServer) this.#unfinished.push(stream);
  }

  #remoteEnded(stream: Http2Stream): void {
    if (stream.state === StreamState.halfClosedLocal) this.#close(stream, ClosedBy.end);
    else stream.state = StreamState.halfClosedRemote;
  }

  #close(stream: Http2Stream, how: ClosedBy): void {
    stream.state = StreamState.closed;
    stream.queue = [];
    stream.queuedBytes = 0;
    this.streams.remove(stream.id, how);
    if (this.#pending.length > 0 && this.phase < ConnectionPhase.closing) this.#startPending();
    if (this.streams.size === 0) {
      this.#owner.idle();
      if (this.phase === ConnectionPhase.closing) this.#closeWhenIdle();
    }
  }

  #closeWhenIdle(): void {
    if (this.streams.size > 0 || this.#pending.length > 0 || this.#isDraining) return;
    // After the turn: whoever is being told of the last stream's end may still look at the connection.
    queueMicrotask(() => this.finish());
  }

  #goawayAgain(): void {
    if (!this.#isDraining) return;
    this.#isDraining = false;
    this.#goawayTimer.clear();
    this.#lastAcceptedId = this.#lastPeerStreamId;
    this.writer.goaway(this.#lastPeerStreamId, ErrorCode.noError, noBytes);
    this.#outbound.request();
    this.#closeWhenIdle();
  }

  #spendIdle(what: string): void {
    if (!this.#idleFrames.spend()) throw new ConnectionError(ErrorCode.enhanceYourCalm, what);
  }

  #spendReset(): void {
    if (!this.#resets.spend()) throw new ConnectionError(ErrorCode.enhanceYourCalm, "too many streams were reset");
  }
}

const noBytes: Uint8Array = new Uint8Array(0);
