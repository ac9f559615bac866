import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { UnaryResponse } from "@connectrpc/connect";
import { codecOf } from "@weft/codec";
import { emptyMetadata, type Metadata, type Status, StatusCode } from "@weft/wire";
import { errorOfStatus } from "../errors.js";
import { headersFromMetadata } from "../metadata.js";
import { encodeRequest } from "./encode-request.js";
import { type CallRequest, startCall, type TargetEnvironment } from "./start-call.js";

/** Makes a unary call. Rejects with a ConnectError. */
export function callUnary<I extends DescMessage, O extends DescMessage>(
  env: TargetEnvironment,
  method: DescMethodUnary<I, O>,
  request: Omit<CallRequest, "method">,
  input: MessageInitShape<I>,
): Promise<UnaryResponse<I, O>> {
  return new Promise((resolve, reject) => {
    const bytes = encodeRequest(method, input);
    let head: Metadata = emptyMetadata;
    let received: Uint8Array | undefined;
    let count = 0;
    const call = startCall(
      env,
      { ...request, method },
      {
        head: (metadata) => {
          head = metadata;
        },
        message: (message) => {
          received = message;
          count += 1;
        },
        end: (status, trailers) => {
          const response = readResponse(method, { status, head, trailers, received, count });
          if (response.ok) resolve(response.value);
          else reject(response.error);
        },
      },
    );
    call.write(bytes);
    call.end();
    // Two, so that a second message is seen for what it is: a breach of the protocol.
    call.read(2);
    call.begin();
  });
}

function readResponse<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  outcome: {
    readonly status: Status;
    readonly head: Metadata;
    readonly trailers: Metadata;
    readonly received: Uint8Array | undefined;
    readonly count: number;
  },
): { readonly ok: true; readonly value: UnaryResponse<I, O> } | { readonly ok: false; readonly error: Error } {
  const { status, head, trailers, received } = outcome;
  if (status.code !== StatusCode.ok) {
    return { ok: false, error: errorOfStatus(status, head.length === 0 ? trailers : [...head, ...trailers]) };
  }
  if (received === undefined || outcome.count > 1) {
    const message = `${method.parent.typeName}/${method.name}: the response has ${outcome.count} messages instead of one`;
    return { ok: false, error: errorOfStatus({ code: StatusCode.unimplemented, message }) };
  }
  const message = codecOf(method.output).decode(received);
  if (!message.ok) {
    const text = `${method.parent.typeName}/${method.name}: the response cannot be read`;
    return {
      ok: false,
      error: errorOfStatus({ code: StatusCode.internal, message: text }, emptyMetadata, new Error(message.error)),
    };
  }
  return { ok: true, value: unaryResponse(method, message.value, head, trailers) };
}

/** Headers are made when someone looks at them, which hardly anyone does. */
function unaryResponse<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  message: MessageShape<O>,
  head: Metadata,
  trailers: Metadata,
): UnaryResponse<I, O> {
  let header: Headers | undefined;
  let trailer: Headers | undefined;
  return {
    stream: false,
    method,
    service: method.parent,
    message,
    get header() {
      header ??= headersFromMetadata(head);
      return header;
    },
    get trailer() {
      trailer ??= headersFromMetadata(trailers);
      return trailer;
    },
  };
}
