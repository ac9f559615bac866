import { create, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type MethodImplSpec } from "@connectrpc/connect";
import { context } from "@opentelemetry/api";
import { type Codec, codecOf } from "@weft/codec";
import { type Clock, type Deadline, deadlineIn, type Logger } from "@weft/foundation";
import {
  emptyMetadata,
  okStatus,
  type ServerStream,
  type ServerStreamEvents,
  type Status,
  StatusCode,
  textOf,
} from "@weft/wire";
import { type CallScope, runInCallScope } from "../call-scope.js";
import { errorOfStatus, failureOf, isFault } from "../errors.js";
import type { ServerCallTelemetry } from "../telemetry/telemetry.js";
import { LazyHandlerContext } from "./handler-context.js";
import { RequestQueue } from "./request-queue.js";

/** What every call of a server shares. */
export interface CallParts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A method's handler, and the codecs of its messages. */
export interface ServedMethod {
  readonly spec: MethodImplSpec;
  readonly input: Codec<DescMessage>;
  readonly output: Codec<DescMessage>;
}

export function servedMethod(spec: MethodImplSpec): ServedMethod {
  return { spec, input: codecOf(spec.method.input), output: codecOf(spec.method.output) };
}

type AnyMessage = MessageShape<DescMessage>;
type AnyInit = MessageInitShape<DescMessage>;

/**
 * One call while it is served: reads what its kind of method takes, runs the handler in the call's scope, and writes what that gives.
 *
 *   message… ──decode──> handler ──encode──> write… ──> end
 *   cancel, deadline, drain ──> context.signal, the requests fail, the replies' iterator is returned
 */
export class ServerCall implements ServerStreamEvents {
  readonly #method: ServedMethod;
  readonly #stream: ServerStream;
  readonly #telemetry: ServerCallTelemetry;
  readonly #parts: CallParts;
  readonly #onEnd: (() => void) | undefined;
  readonly #context: LazyHandlerContext;
  readonly #requests: RequestQueue<AnyMessage>;
  readonly #deadline: Deadline;
  #request: AnyMessage | undefined;
  #replies: AsyncIterator<AnyInit> | undefined;
  #resume: (() => void) | undefined;
  #over = false;

  constructor(options: {
    readonly method: ServedMethod;
    readonly stream: ServerStream;
    readonly authority: string;
    readonly telemetry: ServerCallTelemetry;
    readonly parts: CallParts;
    readonly onEnd: (() => void) | undefined;
  }) {
    const { method, stream, parts } = options;
    this.#method = method;
    this.#stream = stream;
    this.#telemetry = options.telemetry;
    this.#parts = parts;
    this.#onEnd = options.onEnd;
    this.#deadline = deadlineIn(stream.timeoutMs, parts.clock);
    this.#context = new LazyHandlerContext({
      method: method.spec.method,
      path: stream.path,
      authority: options.authority,
      metadata: stream.metadata,
      deadline: this.#deadline,
      clock: parts.clock,
    });
    this.#requests = new RequestQueue(() => stream.read(1));
  }

  /** Starts reading, and the handler where it takes a stream. */
  start(): void {
    const spec = this.#method.spec;
    if (spec.kind === "client_streaming") {
      this.#run((requestContext) => this.#replyOnce(spec.impl(this.#requests, requestContext)));
    } else if (spec.kind === "bidi_streaming") {
      this.#run((requestContext) => this.#replyEach(spec.impl(this.#requests, requestContext)));
    } else {
      // One more than the method takes, to tell when a client sends too many.
      this.#stream.read(2);
    }
  }

  message(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#telemetry.received(bytes.byteLength);
    const message = this.#method.input.decode(bytes);
    if (!message.ok) {
      // What grpc-go and grpc-js say, and statuscodes.md: "error parsing request proto".
      this.#fail(new ConnectError(`cannot read the request: ${message.error}`, Code.Internal));
    } else if (this.#method.spec.kind === "client_streaming" || this.#method.spec.kind === "bidi_streaming") {
      this.#requests.push(message.value);
    } else if (this.#request === undefined) {
      this.#request = message.value;
    } else {
      this.#fail(wrongCount("more than one"));
    }
  }

  halfClose(): void {
    if (this.#over) return;
    this.#requests.finish();
    const spec = this.#method.spec;
    if (spec.kind === "client_streaming" || spec.kind === "bidi_streaming") return;
    const request = this.#request;
    if (request === undefined) this.#fail(wrongCount("no"));
    else if (spec.kind === "unary") this.#run((requestContext) => this.#replyOnce(spec.impl(request, requestContext)));
    else this.#run((requestContext) => this.#replyEach(spec.impl(request, requestContext)));
  }

  cancel(status: Status): void {
    if (this.#over) return;
    this.#finish(status, errorOfStatus(status));
  }

  writable(): void {
    this.#resume?.();
  }

  /** Runs a handler as part of this call: its span is active, and its own calls inherit deadline, signal and user. */
  #run(handler: (requestContext: HandlerContext) => Promise<void>): void {
    const requestContext = this.#context;
    const scope: CallScope = {
      deadline: this.#deadline,
      get signal() {
        return requestContext.signal;
      },
      user: textOf(this.#stream.metadata, "weft-user"),
    };
    context.with(this.#telemetry.context, () =>
      runInCallScope(scope, () => {
        // The handler may throw before it gives a promise.
        const running = new Promise<void>((resolve) => resolve(handler(requestContext)));
        running.catch((error: unknown) => this.#fail(error));
      }),
    );
  }

  async #replyOnce(reply: Promise<AnyInit> | AnyInit): Promise<void> {
    const message = await reply;
    if (this.#over) return;
    this.#write(message);
    this.#succeed();
  }

  async #replyEach(replies: AsyncIterable<AnyInit>): Promise<void> {
    this.#replies = replies[Symbol.asyncIterator]();
    for (;;) {
      const next = await this.#replies.next();
      if (this.#over) return;
      if (next.done === true) break;
      if (!this.#write(next.value)) await this.#room();
      if (this.#over) return;
    }
    this.#succeed();
  }

  #write(message: AnyInit): boolean {
    const bytes = this.#method.output.encode(create(this.#method.spec.method.output, message));
    const head = this.#context.headMetadata();
    if (head !== undefined) this.#stream.sendHead(head);
    this.#telemetry.sent(bytes.byteLength);
    return this.#stream.write(bytes);
  }

  /** Waits until the stream takes more, or is over. */
  async #room(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
    });
    this.#resume = undefined;
  }

  #succeed(): void {
    // A stream without a message still owes its head.
    const head = this.#context.headMetadata();
    if (head !== undefined) this.#stream.sendHead(head);
    this.#stream.end(okStatus, this.#context.trailerMetadata() ?? emptyMetadata);
    this.#finish(okStatus, undefined);
  }

  #fail(thrown: unknown): void {
    if (this.#over) {
      // Nobody waits for an answer any more; that a cancelled handler throws is what it should do.
      this.#parts.logger.debug("handler ended after its call", { method: this.#stream.path, error: thrown });
      return;
    }
    const { status, trailers } = failureOf(thrown);
    if (isFault(thrown)) this.#parts.logger.error("handler failed", { method: this.#stream.path, error: thrown });
    const head = this.#context.headMetadata();
    if (head !== undefined) this.#stream.sendHead(head);
    this.#stream.end(status, [...(this.#context.trailerMetadata() ?? emptyMetadata), ...trailers]);
    this.#finish(status, thrown);
  }

  #finish(status: Status, reason: unknown): void {
    // Sending the head may have ended it: one that cannot be sent does.
    if (this.#over) return;
    this.#over = true;
    this.#telemetry.end(status);
    // Errors are made only for who asks: one costs more than the rest of a small call.
    this.#requests.fail(() => reason ?? errorOfStatus({ code: StatusCode.cancelled, message: "the call is over" }));
    this.#context.end(reason);
    this.#resume?.();
    this.#stopReplies();
    this.#onEnd?.();
  }

  /** Lets a generator run its `finally`; one that waits for something is woken by the context's signal. */
  #stopReplies(): void {
    const stopped = this.#replies?.return?.();
    stopped?.catch((error: unknown) => {
      this.#parts.logger.debug("handler ended after its call", { method: this.#stream.path, error });
    });
  }
}

function wrongCount(count: string): ConnectError {
  return new ConnectError(`the method takes one request and got ${count}`, Code.Unimplemented);
}
