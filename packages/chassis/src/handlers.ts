import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type MethodImpl, type ServiceImpl } from "@connectrpc/connect";
import type { Redactor } from "./redaction/redactor.js";

/** What a handler is given beside its request. */
export interface CallContext extends HandlerContext {
  /**
   * The principal of the call, its only source. Reading it when the call has none throws UNAUTHENTICATED,
   * so a method that needs a user just reads it; one that does not, doesn't.
   */
  readonly user: string;
}

/** One method as a handler: Connect's own shape, with a {@link CallContext}. */
export type Handler<M extends DescMethod> =
  MethodImpl<M> extends (request: infer Request, context: HandlerContext) => infer Reply
    ? (request: Request, context: CallContext) => Reply
    : never;

/** The handlers of one service. Any `ServiceImpl` fits. */
export type Handlers<S extends DescService> = { [Name in keyof S["method"]]: Handler<S["method"][Name]> };

/** What {@link withCallContext} needs of the process. */
export interface HandlerSupport {
  readonly redactor: Redactor;
  /** The principal of the call that the running code serves. */
  currentUser(): string | undefined;
}

type AnyHandler = (request: unknown, context: HandlerContext) => unknown;

/**
 * Gives each handler its {@link CallContext}, and takes card numbers out of the messages of the errors that it throws.
 * What an error says to its caller beyond that, and which are logged, is the mesh's to decide.
 */
export function withCallContext<S extends DescService>(
  service: S,
  handlers: Partial<Handlers<S>>,
  support: HandlerSupport,
): Partial<ServiceImpl<S>> {
  const wrapped: Record<string, AnyHandler> = {};
  for (const [name, method] of Object.entries(service.method)) {
    const handler = fromHandlers(handlers)[name];
    if (handler === undefined) continue;
    wrapped[name] = wrap(method.methodKind, handler.bind(handlers), support);
  }
  return fromWrapped<S>(wrapped);
}

function wrap(kind: DescMethod["methodKind"], handler: AnyHandler, support: HandlerSupport): AnyHandler {
  const streams = kind === "server_streaming" || kind === "bidi_streaming";
  if (!streams) {
    return async (request, context) => {
      try {
        return await handler(request, callContext(context, support));
      } catch (error) {
        throw presentable(error, support.redactor);
      }
    };
  }
  return async function* (request, context) {
    try {
      yield* fromStream(handler(request, callContext(context, support)));
    } catch (error) {
      throw presentable(error, support.redactor);
    }
  };
}

function callContext(context: HandlerContext, support: HandlerSupport): CallContext {
  // The principal is taken when the call starts: a stream may read it long after.
  const user = support.currentUser();
  // On the context itself: an object derived from it could not read its private fields.
  const withUser = Object.defineProperty(context, "user", {
    configurable: true,
    get(): string {
      if (user === undefined) throw new ConnectError("this method needs a user", Code.Unauthenticated);
      return user;
    },
  });
  return fromContext(withUser);
}

function fromContext(context: HandlerContext): CallContext {
  return context as CallContext;
}

/** What the mesh sends of an error is its message: all that is no ConnectError goes without one, and is logged there. */
function presentable(error: unknown, redactor: Redactor): unknown {
  if (!(error instanceof ConnectError)) return error;
  const message = redactor.text(error.rawMessage);
  if (message === error.rawMessage) return error;
  return new ConnectError(message, error.code, error.metadata, outgoing(error), error.cause);
}

function outgoing(error: ConnectError): ConstructorParameters<typeof ConnectError>[3] {
  const details: NonNullable<ConstructorParameters<typeof ConnectError>[3]> = [];
  for (const detail of error.details) if ("desc" in detail) details.push(detail);
  return details;
}

function fromHandlers<S extends DescService>(handlers: Partial<Handlers<S>>): Record<string, AnyHandler | undefined> {
  return handlers as Record<string, AnyHandler | undefined>;
}

function fromWrapped<S extends DescService>(wrapped: Record<string, AnyHandler>): Partial<ServiceImpl<S>> {
  return wrapped as unknown as Partial<ServiceImpl<S>>;
}

function fromStream(reply: unknown): AsyncIterable<unknown> {
  return reply as AsyncIterable<unknown>;
}
