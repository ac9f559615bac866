import { WatchSource } from "@weft/foundation";
import {
  type ClientStream,
  type ClientStreamEvents,
  type Connection,
  type ConnectionState,
  type ConnectOptions,
  emptyMetadata,
  type Listener,
  type Metadata,
  okStatus,
  type RequestHead,
  type Status,
  StatusCode,
  type Transport,
} from "@weft/wire";

/** A stream as the scripted peer sees it. */
export class ScriptedStream implements ClientStream {
  readonly head: RequestHead;
  readonly address: string;
  readonly written: Uint8Array[] = [];
  halfClosed = false;
  granted = 0;
  /** What `write` answers. */
  room = true;
  resetWith: Status | undefined;
  readonly #events: ClientStreamEvents;
  #over = false;

  constructor(head: RequestHead, address: string, events: ClientStreamEvents) {
    this.head = head;
    this.address = address;
    this.#events = events;
  }

  write(message: Uint8Array): boolean {
    this.written.push(message);
    return this.room;
  }

  end(): void {
    this.halfClosed = true;
  }

  read(count: number): void {
    this.granted += count;
  }

  reset(status: Status): void {
    this.resetWith = status;
    this.#end(status, emptyMetadata, true);
  }

  /** The peer answers with a head, these messages and OK. */
  answer(...messages: readonly Uint8Array[]): void {
    this.sendHead();
    for (const message of messages) this.sendMessage(message);
    this.#end(okStatus, emptyMetadata, true);
  }

  sendHead(metadata: Metadata = emptyMetadata): void {
    this.#events.head(metadata);
  }

  sendMessage(message: Uint8Array): void {
    this.#events.message(message);
  }

  sendWritable(): void {
    this.room = true;
    this.#events.writable?.();
  }

  fail(code: StatusCode, more: { readonly processed?: boolean; readonly trailers?: Metadata } = {}): void {
    this.#end({ code, message: `scripted ${code}` }, more.trailers ?? emptyMetadata, more.processed ?? true);
  }

  #end(status: Status, trailers: Metadata, processed: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#events.end({ status, trailers, processed });
  }
}

/** A connection that comes up, drains and closes when told. */
export class ScriptedConnection implements Connection {
  readonly address: string;
  readonly options: ConnectOptions;
  readonly state = new WatchSource<ConnectionState>({ t: "connecting" });
  readonly streams: ScriptedStream[] = [];
  /** `drainMs` of each close. */
  readonly closes: number[] = [];
  readonly #transport: ScriptedTransport;

  constructor(transport: ScriptedTransport, options: ConnectOptions) {
    this.#transport = transport;
    this.options = options;
    this.address = `${options.host}:${options.port}`;
  }

  up(): void {
    this.state.set({ t: "ready" });
  }

  goAway(): void {
    this.state.set({ t: "draining" });
  }

  lose(message = "connection refused"): void {
    this.state.set({ t: "closed", cause: new Error(message) });
    for (const stream of this.streams) stream.fail(StatusCode.unavailable);
  }

  open(head: RequestHead, events: ClientStreamEvents): ClientStream {
    const stream = new ScriptedStream(head, this.address, events);
    this.streams.push(stream);
    this.#transport.streams.push(stream);
    return stream;
  }

  async close(drainMs = 0): Promise<void> {
    this.closes.push(drainMs);
    this.state.set({ t: "closed" });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close(0);
  }
}

/** A transport without sockets: the test plays every peer. */
export class ScriptedTransport implements Transport {
  readonly name = "scripted";
  readonly connections: ScriptedConnection[] = [];
  /** Every stream, in the order in which they were opened. */
  readonly streams: ScriptedStream[] = [];
  /** Whether connections come up by themselves. */
  readonly #autoUp: boolean;

  constructor(options: { readonly autoUp?: boolean } = {}) {
    this.#autoUp = options.autoUp ?? false;
  }

  connect(options: ConnectOptions): Connection {
    const connection = new ScriptedConnection(this, options);
    this.connections.push(connection);
    if (this.#autoUp) connection.up();
    return connection;
  }

  async listen(): Promise<Listener> {
    throw new Error("scripted transport: nothing to listen on");
  }
}
