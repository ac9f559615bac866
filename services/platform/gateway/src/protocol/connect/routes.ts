import type { DescMethod } from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  type ContextValues,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type MethodImpl,
} from "@connectrpc/connect";
import type { Operation } from "../../operation/operation.js";
import type { EdgeCall, Handle } from "../../pipeline/edge-call.js";
import { cleanErrors } from "./clean-errors.js";

const peerKey = createContextKey("");

/** What the routes must know of a request beyond its headers. */
export function peerValues(peer: string): ContextValues {
  return createContextValues().set(peerKey, peer);
}

/** One route an operation, in all protocols that Connect speaks: Connect, gRPC-Web and gRPC. There is no other route. */
export function connectRoutes(operations: readonly Operation[], handle: Handle): (router: ConnectRouter) => void {
  return (router) => {
    for (const operation of operations) router.rpc(operation.method, implementation(operation, handle));
    cleanErrors(router);
  };
}

function implementation(operation: Operation, handle: Handle): MethodImpl<DescMethod> {
  const clientStreams = ["client_streaming", "bidi_streaming"].includes(operation.method.methodKind);
  const answer = (request: unknown, context: HandlerContext): AsyncIterable<unknown> =>
    handle(edgeCall(operation, clientStreams ? fromStream(request) : one(request), context));
  const single = async (request: unknown, context: HandlerContext): Promise<unknown> => {
    let reply: unknown;
    for await (const message of answer(request, context)) reply = message;
    return reply;
  };
  return fromAnswer(operation.streams ? answer : single);
}

function edgeCall(operation: Operation, messages: AsyncIterable<unknown>, context: HandlerContext): EdgeCall {
  return {
    operation,
    protocol: context.protocolName,
    peer: context.values.get(peerKey),
    requestHeader: context.requestHeader,
    responseHeader: context.responseHeader,
    messages,
    signal: context.signal,
    timeoutMs: context.timeoutMs(),
    requestId: "",
    user: undefined,
    deadline: undefined,
  };
}

async function* one(message: unknown): AsyncGenerator<unknown, void, undefined> {
  yield message;
}

function fromStream(request: unknown): AsyncIterable<unknown> {
  return request as AsyncIterable<unknown>;
}

/** The pipeline carries any operation's messages; Connect types an implementation by one method. */
function fromAnswer(answer: (request: unknown, context: HandlerContext) => unknown): MethodImpl<DescMethod> {
  return answer as MethodImpl<DescMethod>;
}
