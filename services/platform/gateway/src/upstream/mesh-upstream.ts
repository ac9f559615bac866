import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { type Clock, joinSignals, remainingMs } from "@weft/foundation";
import { runInCallScope } from "@weft/mesh";
import type { Operation } from "../operation/operation.js";
import type { EdgeCall, Handle } from "../pipeline/edge-call.js";
import { userHeader } from "../pipeline/principal.js";
import { requestIdHeader } from "../pipeline/request-id.js";
import { type TargetOverrides, targetOf } from "./targets.js";

/** What the gateway needs of a mesh. */
export interface UpstreamMesh {
  to(target: string): Transport;
}

export interface UpstreamOptions {
  readonly mesh: UpstreamMesh;
  readonly operations: readonly Operation[];
  readonly overrides: TargetOverrides;
  readonly clock: Clock;
  /** Aborts when the process can wait no longer. */
  readonly shutdown: AbortSignal;
}

/**
 * Makes the call inside the mesh, on behalf of the user, within the deadline. Of the client's headers only its own (`x-…`) go on:
 * routes match on them.
 */
export function createMeshUpstream(options: UpstreamOptions): Handle {
  // Asked for at once, so that the mesh has learned of them before the first call.
  const transports = new Map<DescService, Transport>();
  for (const { method } of options.operations) {
    if (!transports.has(method.parent))
      transports.set(method.parent, options.mesh.to(targetOf(method.parent, options.overrides)));
  }
  return async function* (call) {
    const { method } = call.operation;
    const transport = transports.get(method.parent);
    if (transport === undefined) throw new ConnectError(`"${call.operation.name}" has no target`, Code.Internal);
    const { clock, shutdown } = options;
    const leftMs = remainingMs(call.deadline, clock);
    const timeoutMs = leftMs === undefined ? undefined : Math.ceil(leftMs);
    if (timeoutMs === 0) throw new ConnectError("the deadline has passed", Code.DeadlineExceeded);
    // Aborted when the reader has had enough, so that the call inside ends too.
    const over = new AbortController();
    using joined = joinSignals({ clock, signals: [call.signal, shutdown, over.signal] });
    const { signal } = joined;
    const header = forwarded(call);
    const within = <R>(work: () => R): R => runInCallScope({ deadline: call.deadline, signal, user: call.user }, work);
    try {
      if (method.methodKind === "unary") {
        const message = await first(call.messages);
        yield (await within(() => transport.unary(fromUnary(method), signal, timeoutMs, header, message))).message;
      } else {
        const messages = fromMessages(call.messages);
        const response = await within(() =>
          transport.stream(fromStreaming(method), signal, timeoutMs, header, messages),
        );
        yield* response.message;
      }
    } catch (error) {
      if (shutdown.aborted && !call.signal.aborted)
        throw new ConnectError("the gateway stopped", Code.Unavailable, undefined, undefined, error);
      throw error;
    } finally {
      over.abort();
    }
  };
}

const kept = /^x-(?!forwarded-|real-ip$|grpc-web$|user-agent$)/;

function forwarded(call: EdgeCall): Headers {
  const header = new Headers();
  for (const [name, value] of call.requestHeader) if (kept.test(name)) header.append(name, value);
  header.set(requestIdHeader, call.requestId);
  if (call.user !== undefined) header.set(userHeader, call.user);
  return header;
}

async function first(messages: AsyncIterable<unknown>): Promise<Message> {
  for await (const message of fromMessages(messages)) return message;
  throw new ConnectError("a message is missing", Code.InvalidArgument);
}

/** Protocols decode requests by the method's own descriptor, so that they are complete messages of it. */
function fromMessages(messages: AsyncIterable<unknown>): AsyncIterable<Message> {
  return messages as AsyncIterable<Message>;
}

type UnaryMethod = Parameters<Transport["unary"]>[0];
type StreamingMethod = Parameters<Transport["stream"]>[0];

/** Which kind a method is of was looked at above; its type does not follow. */
function fromUnary(method: DescMethod): UnaryMethod {
  return method as UnaryMethod;
}

function fromStreaming(method: DescMethod): StreamingMethod {
  return method as StreamingMethod;
}
