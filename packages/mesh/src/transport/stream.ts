import type { DescMessage, DescMethodStreaming, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { ConnectError, type StreamResponse } from "@connectrpc/connect";
import { codecOf } from "@weft/codec";
import { emptyMetadata, type Metadata, type Status, StatusCode } from "@weft/wire";
import type { Call } from "../call/call.js";
import { errorOfStatus, statusOfError } from "../errors.js";
import { headersFromMetadata } from "../metadata.js";
import { encodeRequest } from "./encode-request.js";
import { type CallRequest, startCall, type TargetEnvironment } from "./start-call.js";

/** Messages that may be under way to a reader who has not asked for them yet. */
const readAhead = 4;

/** Makes a streaming call of any kind. Resolves with the response's head, or rejects with a ConnectError when there is none. */
export function callStream<I extends DescMessage, O extends DescMessage>(
  env: TargetEnvironment,
  method: DescMethodStreaming<I, O>,
  request: Omit<CallRequest, "method">,
  input: AsyncIterable<MessageInitShape<I>>,
): Promise<StreamResponse<I, O>> {
  return new StreamingCall(env, method, request, input).response;
}

type End = { readonly status: Status; readonly trailers: Metadata };

class StreamingCall<I extends DescMessage, O extends DescMessage> implements AsyncIterator<MessageShape<O>> {
  readonly response: Promise<StreamResponse<I, O>>;
  readonly #method: DescMethodStreaming<I, O>;
  readonly #call: Call;
  readonly #input: AsyncIterator<MessageInitShape<I>>;
  readonly #received: Uint8Array[] = [];
  readonly #trailer = new LateHeaders();
  #head: Metadata = emptyMetadata;
  #end: End | undefined;
  /** What the request iterable threw: the caller gets it back as it was. */
  #inputError: unknown;
  #inputOver = false;
  readonly #waitingReaders: (() => void)[] = [];
  #wakeWriter: (() => void) | undefined;
  #settle:
    | { readonly resolve: (response: StreamResponse<I, O>) => void; readonly reject: (error: unknown) => void }
    | undefined;

  constructor(
    env: TargetEnvironment,
    method: DescMethodStreaming<I, O>,
    request: Omit<CallRequest, "method">,
    input: AsyncIterable<MessageInitShape<I>>,
  ) {
    this.#method = method;
    this.#input = input[Symbol.asyncIterator]();
    this.response = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#call = startCall(
      env,
      { ...request, method },
      {
        head: (metadata) => this.#onHead(metadata),
        message: (bytes) => {
          this.#received.push(bytes);
          this.#wake();
        },
        writable: () => this.#wakeWriter?.(),
        end: (status, trailers) => this.#onEnd({ status, trailers }),
      },
    );
    this.#call.read(readAhead);
    this.#call.begin();
    // It reports its own failure by cancelling the call.
    this.#pump().catch(() => {});
  }

  async next(): Promise<IteratorResult<MessageShape<O>, undefined>> {
    for (;;) {
      const bytes = this.#received.shift();
      if (bytes !== undefined) {
        this.#call.read(1);
        return { done: false, value: this.#decode(bytes) };
      }
      if (this.#end !== undefined) {
        if (this.#end.status.code === StatusCode.ok) return { done: true, value: undefined };
        throw this.#errorOf(this.#end);
      }
      await new Promise<void>((resolve) => {
        this.#waitingReaders.push(resolve);
      });
    }
  }

  async return(): Promise<IteratorResult<MessageShape<O>, undefined>> {
    this.#call.cancel({ code: StatusCode.cancelled, message: "the reader stopped reading" });
    return { done: true, value: undefined };
  }

  async #pump(): Promise<void> {
    try {
      while (this.#end === undefined) {
        const item = await this.#nextInput();
        if (item.done === true) {
          this.#call.end();
          return;
        }
        const room = this.#call.write(encodeRequest(this.#method, item.value));
        if (!room) await this.#writable();
      }
    } catch (error) {
      if (this.#end !== undefined) return;
      this.#inputError = error;
      this.#call.cancel(error instanceof ConnectError ? statusOfError(error) : inputFailed);
    }
  }

  async #nextInput(): Promise<IteratorResult<MessageInitShape<I>, unknown>> {
    try {
      const item = await this.#input.next();
      if (item.done === true) this.#inputOver = true;
      return item;
    } catch (error) {
      this.#inputOver = true;
      throw error;
    }
  }

  /** The call is over: whatever the request iterable waits for, it is not wanted any more. */
  async #stopInput(): Promise<void> {
    if (this.#inputOver) return;
    this.#inputOver = true;
    await this.#input.return?.();
  }

  #writable(): Promise<void> {
    if (this.#end !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wakeWriter = resolve;
    });
  }

  #decode(bytes: Uint8Array): MessageShape<O> {
    const message = codecOf(this.#method.output).decode(bytes);
    if (message.ok) return message.value;
    const status = {
      code: StatusCode.internal,
      message: `${this.#method.name}: a message of the response cannot be read`,
    };
    this.#call.cancel(status);
    throw errorOfStatus(status, emptyMetadata, new Error(message.error));
  }

  #onHead(metadata: Metadata): void {
    this.#head = metadata;
    this.#respond();
  }

  #onEnd(end: End): void {
    this.#end = end;
    this.#trailer.fill(end.trailers);
    if (end.status.code === StatusCode.ok) this.#respond();
    else this.#settle?.reject(this.#errorOf(end));
    this.#settle = undefined;
    this.#wake();
    this.#wakeWriter?.();
    // What its cleaning up throws changes nothing: the call has its end.
    this.#stopInput().catch(() => {});
  }

  #respond(): void {
    const trailer = this.#trailer;
    let header: Headers | undefined;
    const head = this.#head;
    this.#settle?.resolve({
      stream: true,
      method: this.#method,
      service: this.#method.parent,
      message: { [Symbol.asyncIterator]: () => this },
      get header() {
        header ??= headersFromMetadata(head);
        return header;
      },
      get trailer() {
        return trailer.headers;
      },
    });
    this.#settle = undefined;
  }

  #errorOf(end: End): unknown {
    return this.#inputError ?? errorOfStatus(end.status, end.trailers);
  }

  #wake(): void {
    for (const wake of this.#waitingReaders.splice(0)) wake();
  }
}

const inputFailed: Status = { code: StatusCode.cancelled, message: "the request could not be read to its end" };

/** Headers that someone may hold before their content is known. */
class LateHeaders {
  #headers: Headers | undefined;
  #content: Metadata = emptyMetadata;

  get headers(): Headers {
    this.#headers ??= headersFromMetadata(this.#content);
    return this.#headers;
  }

  fill(content: Metadata): void {
    this.#content = content;
    if (this.#headers === undefined) return;
    for (const [name, value] of headersFromMetadata(content)) this.#headers.append(name, value);
  }
}
