import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues, type Interceptor, type Transport } from "@connectrpc/connect";
import { runStreamingCall, runUnaryCall } from "@connectrpc/connect/protocol";
import type { HeaderInput, TargetEnvironment } from "./start-call.js";
import { callStream } from "./stream.js";
import { callUnary } from "./unary.js";

/** A Connect Transport over the calls of one target. Interceptors cost only where there are any. */
export function createConnectTransport(env: TargetEnvironment, interceptors: readonly Interceptor[]): Transport {
  if (interceptors.length === 0) {
    return {
      unary: (method, signal, timeoutMs, header, input) => callUnary(env, method, { signal, timeoutMs, header }, input),
      stream: (method, signal, timeoutMs, header, input) =>
        callStream(env, method, { signal, timeoutMs, header }, input),
    };
  }
  return {
    unary: (method, signal, timeoutMs, header, input, contextValues) =>
      runUnaryCall({
        interceptors: [...interceptors],
        ...limits(signal, timeoutMs),
        req: { ...requestOf(env, method, header, contextValues), stream: false, method, message: input },
        next: (req) =>
          callUnary(env, method, { signal: req.signal, timeoutMs, header: req.header }, fromRequest(req.message)),
      }),
    stream: (method, signal, timeoutMs, header, input, contextValues) =>
      runStreamingCall({
        interceptors: [...interceptors],
        ...limits(signal, timeoutMs),
        req: { ...requestOf(env, method, header, contextValues), stream: true, method, message: input },
        next: (req) =>
          callStream(env, method, { signal: req.signal, timeoutMs, header: req.header }, fromRequest(req.message)),
      }),
  };
}

function limits(signal: AbortSignal | undefined, timeoutMs: number | undefined) {
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(timeoutMs === undefined || timeoutMs <= 0 ? {} : { timeoutMs }),
  };
}

function requestOf(
  env: TargetEnvironment,
  method: DescMethod & { readonly input: DescMessage },
  header: HeaderInput,
  contextValues: ContextValues | undefined,
) {
  return {
    service: method.parent,
    requestMethod: "POST",
    url: `http://${env.target}/${method.parent.typeName}/${method.name}`,
    header: new Headers(header),
    contextValues: contextValues ?? createContextValues(),
  };
}

/** A complete message is a valid initializer of itself; the types of Connect and protobuf-es only say so one type at a time. */
function fromRequest<T>(message: unknown): T {
  return message as T;
}
