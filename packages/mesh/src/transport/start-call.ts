import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { deadlineIn, soonerOf } from "@weft/foundation";
import { emptyMetadata, type Metadata } from "@weft/wire";
import { Call, type CallEnvironment, type CallEvents } from "../call/call.js";
import { type CallScope, currentCallScope } from "../call-scope.js";
import { metadataFromHeaders } from "../metadata.js";
import type { Telemetry } from "../telemetry/telemetry.js";
import { onFirstAbort, statusOfAbort } from "./abort.js";

/** What calls to one target need, made once. */
export interface TargetEnvironment extends CallEnvironment {
  readonly telemetry: Telemetry;
  readonly host: string;
  readonly port: number | undefined;
  /** For calls that name none; `undefined` means that only the call in whose scope they are made limits them. */
  readonly defaultTimeoutMs: number | undefined;
}

/** Whatever the Headers constructor takes. */
export type HeaderInput = ConstructorParameters<typeof Headers>[0];

/** What a caller says about one call. */
export interface CallRequest {
  readonly method: DescMethod;
  readonly signal: AbortSignal | undefined;
  /** 0 or less means none, as everywhere in Connect. */
  readonly timeoutMs: number | undefined;
  readonly header: HeaderInput;
}

/**
 * Makes the call with what it inherits from the inbound call that the running code serves: deadline, cancellation, user.
 * The caller begins it.
 */
export function startCall(env: TargetEnvironment, request: CallRequest, events: CallEvents): Call {
  const { method } = request;
  const scope = currentCallScope();
  const path = `/${method.parent.typeName}/${method.name}`;
  const telemetry = env.telemetry.clientCall({
    path,
    target: env.target,
    host: env.host,
    ...(env.port === undefined ? {} : { port: env.port }),
  });
  const timeoutMs = request.timeoutMs ?? env.defaultTimeoutMs;
  const own = timeoutMs === undefined || timeoutMs <= 0 ? undefined : deadlineIn(timeoutMs, env.clock);
  let aborts: Disposable | undefined;
  const call = new Call(
    env,
    {
      head: { path, metadata: withUser(metadataOf(request.header), scope) },
      deadline: soonerOf(own, scope?.deadline),
      idempotent: method.idempotency !== Idempotency.IDEMPOTENCY_UNKNOWN,
      kind: method.methodKind,
      telemetry,
    },
    {
      head: (metadata) => events.head(metadata),
      message: (bytes) => events.message(bytes),
      writable: () => events.writable?.(),
      end: (status, trailers) => {
        aborts?.[Symbol.dispose]();
        events.end(status, trailers);
      },
    },
  );
  const signals = [request.signal, scope?.signal];
  if (signals.some((signal) => signal !== undefined)) {
    aborts = onFirstAbort(signals, (reason) => call.cancel(statusOfAbort(reason)));
  }
  return call;
}

function metadataOf(header: HeaderInput): Metadata {
  return header === undefined
    ? emptyMetadata
    : metadataFromHeaders(header instanceof Headers ? header : new Headers(header));
}

/** The principal of the inbound call goes on to every call made in its scope; nothing a handler sets can replace it. */
function withUser(metadata: Metadata, scope: CallScope | undefined): Metadata {
  if (scope?.user === undefined) return metadata;
  return [...metadata.filter(([name]) => name !== "weft-user"), ["weft-user", scope.user]];
}
