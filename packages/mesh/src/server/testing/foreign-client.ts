import {
  create,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Client, credentials, Metadata as GrpcMetadata, type Metadata, type StatusObject } from "@grpc/grpc-js";

/** What a foreign peer got from one call. */
export interface ForeignReply<M extends DescMethod> {
  readonly messages: readonly MessageShape<M["output"]>[];
  readonly head: Metadata | undefined;
  readonly status: StatusObject;
}

/** A plain `@grpc/grpc-js` client: nothing of the mesh is in it but the message types. */
export class ForeignClient implements Disposable {
  readonly #client: Client;

  constructor(port: number) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  /** Sends the requests, half-closes, and resolves with all that came, whatever the status is. */
  call<M extends DescMethod>(
    method: M,
    requests: readonly MessageInitShape<M["input"]>[],
    options: { readonly metadata?: Readonly<Record<string, string | Buffer>>; readonly timeoutMs?: number } = {},
  ): Promise<ForeignReply<M>> {
    const stream = this.stream(method, options);
    for (const request of requests) stream.write(request);
    stream.end();
    return stream.reply;
  }

  /** A call that stays open until ended. */
  stream<M extends DescMethod>(
    method: M,
    options: { readonly metadata?: Readonly<Record<string, string | Buffer>>; readonly timeoutMs?: number } = {},
  ): ForeignStream<M> {
    return this.#open(method, (message) => Buffer.from(toBinary(method.input, create(method.input, message))), options);
  }

  /** A call whose request is any bytes. */
  callRaw<M extends DescMethod>(method: M, request: Uint8Array): Promise<ForeignReply<M>> {
    const stream = this.#open<M, Uint8Array>(method, (bytes) => Buffer.from(bytes), {});
    stream.write(request);
    stream.end();
    return stream.reply;
  }

  #open<M extends DescMethod, Request>(
    method: M,
    serialize: (request: Request) => Buffer,
    options: { readonly metadata?: Readonly<Record<string, string | Buffer>>; readonly timeoutMs?: number },
  ): ForeignStream<M, Request> {
    const metadata = new GrpcMetadata();
    for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.add(name, value);
    const call = this.#client.makeBidiStreamRequest(
      `/${method.parent.typeName}/${method.name}`,
      serialize,
      (bytes: Buffer) => fromBinary<M["output"]>(method.output, new Uint8Array(bytes)),
      metadata,
      options.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs },
    );
    const messages: MessageShape<M["output"]>[] = [];
    let head: Metadata | undefined;
    call.on("metadata", (received: Metadata) => {
      head = received;
    });
    call.on("data", (message: MessageShape<M["output"]>) => messages.push(message));
    // The status tells the same.
    call.on("error", () => {});
    const reply = new Promise<ForeignReply<M>>((resolve) => {
      call.on("status", (status: StatusObject) => resolve({ messages, head, status }));
    });
    return {
      messages,
      reply,
      write: (request) => void call.write(request),
      end: () => void call.end(),
      cancel: () => call.cancel(),
      pause: () => void call.pause(),
    };
  }
}

/** A call of a foreign peer that is still open. */
export interface ForeignStream<M extends DescMethod, Request = MessageInitShape<M["input"]>> {
  readonly messages: readonly MessageShape<M["output"]>[];
  readonly reply: Promise<ForeignReply<M>>;
  write(request: Request): void;
  end(): void;
  cancel(): void;
  /** Takes no more messages. */
  pause(): void;
}
