import type { Metadata } from "../metadata.js";
import { okStatus, type Status } from "../status.js";
import type {
  ClientStream,
  Connection,
  ConnectOptions,
  Listener,
  ListenOptions,
  ServerStream,
  StreamHandler,
  StreamOutcome,
  Transport,
} from "../transport.js";

/** The longest that a test waits for what should take milliseconds. */
export const ceilingMs = 10_000;

/** A listener and one ready connection to it. Dispose closes the connection, then the listener. */
export interface Pair extends AsyncDisposable {
  readonly listener: Listener;
  readonly connection: Connection;
}

/** Starts both ends on a free port of loopback and waits until they are connected. */
export async function startPair(
  transport: Transport,
  methods: Readonly<Record<string, StreamHandler>>,
  options: { readonly listen?: Partial<ListenOptions>; readonly connect?: Partial<ConnectOptions> } = {},
): Promise<Pair> {
  const listener = await listenOn(transport, methods, options.listen);
  const connection = transport.connect({ host: "127.0.0.1", port: listener.port, ...options.connect });
  await connection.state.until((state) => state.t !== "connecting", AbortSignal.timeout(ceilingMs));
  return {
    listener,
    connection,
    async [Symbol.asyncDispose]() {
      await connection[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** Listens on a free port of loopback; methods by path. */
export function listenOn(
  transport: Transport,
  methods: Readonly<Record<string, StreamHandler>>,
  options: Partial<ListenOptions> = {},
): Promise<Listener> {
  return transport.listen({ host: "127.0.0.1", port: 0, methods: new Map(Object.entries(methods)), ...options });
}

/** One call, and all that happened on it so far. */
export interface Probe {
  readonly stream: ClientStream;
  readonly heads: Metadata[];
  readonly messages: Uint8Array[];
  readonly outcome: Promise<StreamOutcome>;
  /** How often `writable` was called. */
  readonly writables: number;
}

/** Opens a stream and records its events. `read` messages are granted at once, all by default. */
export function openProbe(
  connection: Connection,
  path: string,
  options: { readonly metadata?: Metadata; readonly timeoutMs?: number; readonly read?: number } = {},
): Probe {
  const heads: Metadata[] = [];
  const messages: Uint8Array[] = [];
  let writables = 0;
  let ended: (outcome: StreamOutcome) => void;
  const outcome = new Promise<StreamOutcome>((resolve) => {
    ended = resolve;
  });
  const { metadata = [], timeoutMs } = options;
  const head = timeoutMs === undefined ? { path, metadata } : { path, metadata, timeoutMs };
  const stream = connection.open(head, {
    head: (received) => void heads.push(received),
    message: (bytes) => void messages.push(bytes),
    end: (received) => ended(received),
    writable: () => {
      writables += 1;
    },
  });
  const read = options.read ?? Number.MAX_SAFE_INTEGER;
  if (read > 0) stream.read(read);
  return {
    stream,
    heads,
    messages,
    outcome,
    get writables() {
      return writables;
    },
  };
}

/** A unary call: one message, then half-close. */
export function callOnce(
  connection: Connection,
  path: string,
  message: Uint8Array = bytesOf("ping"),
  options: { readonly metadata?: Metadata; readonly timeoutMs?: number } = {},
): Probe {
  const probe = openProbe(connection, path, options);
  probe.stream.write(message);
  probe.stream.end();
  return probe;
}

/** Sends each message back, and ends OK after the client's half-close. */
export const echo: StreamHandler = (stream) => {
  stream.read(Number.MAX_SAFE_INTEGER);
  return {
    message: (bytes) => void stream.write(bytes),
    halfClose: () => stream.end(okStatus),
    cancel() {},
  };
};

/** Ends each stream with this status as soon as the client has half-closed. */
export function endWith(status: Status, trailers?: Metadata): StreamHandler {
  return (stream) => {
    stream.read(Number.MAX_SAFE_INTEGER);
    return { message() {}, halfClose: () => stream.end(status, trailers), cancel() {} };
  };
}

/** A handler that never answers by itself, and what became of its streams. */
export interface Hanging {
  readonly handler: StreamHandler;
  readonly streams: ServerStream[];
  readonly messages: Uint8Array[];
  readonly cancels: Status[];
}

/** Streams that stay open until somebody else ends them. `read` messages are granted on each, all by default. */
export function hanging(read = Number.MAX_SAFE_INTEGER): Hanging {
  const streams: ServerStream[] = [];
  const messages: Uint8Array[] = [];
  const cancels: Status[] = [];
  return {
    streams,
    messages,
    cancels,
    handler: (stream) => {
      streams.push(stream);
      if (read > 0) stream.read(read);
      return {
        message: (bytes) => void messages.push(bytes),
        halfClose() {},
        cancel: (status) => void cancels.push(status),
      };
    },
  };
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function textOfBytes(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}
