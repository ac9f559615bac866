import {
  type Metadata,
  okStatus,
  parseStatusCode,
  type ServerStream,
  type Status,
  type StreamHandler,
} from "@weft/wire";
import {
  type EchoStatus,
  type RequestKind,
  readRequest,
  type TestRequest,
  writeAggregate,
  writeResponse,
} from "./messages.js";

const service = "/grpc.testing.TestService";

/** grpc.testing.TestService on bytes, as the interop cases want it (grpc/doc/interop-test-descriptions.md). */
export const testService: ReadonlyMap<string, StreamHandler> = new Map<string, StreamHandler>([
  [`${service}/EmptyCall`, unary(() => ({ message: new Uint8Array(0), status: okStatus }))],
  [`${service}/UnaryCall`, unary(answerSimple)],
  [`${service}/StreamingInputCall`, streamingInput],
  [`${service}/StreamingOutputCall`, streaming],
  [`${service}/FullDuplexCall`, streaming],
]);

function answerSimple(bytes: Uint8Array): { readonly message: Uint8Array; readonly status: Status } {
  const request = readRequest(bytes, "simple");
  const serverId = request.fillServerId ? "weft" : "";
  return { message: writeResponse(request.responseSize, serverId), status: statusOf(request.status) };
}

function statusOf(status: EchoStatus | undefined): Status {
  return status === undefined ? okStatus : { code: parseStatusCode(status.code), message: status.message };
}

function unary(
  answer: (request: Uint8Array) => { readonly message: Uint8Array; readonly status: Status },
): StreamHandler {
  return (stream) => {
    stream.read(1);
    return {
      message: (bytes) => {
        const { message, status } = answer(bytes);
        echoHead(stream);
        if (status.code === 0) stream.write(message);
        stream.end(status, echoedTrailers(stream));
      },
      halfClose() {},
      cancel() {},
    };
  };
}

function streamingInput(stream: ServerStream): ReturnType<StreamHandler> {
  let total = 0;
  stream.read(Number.MAX_SAFE_INTEGER);
  return {
    message: (bytes) => {
      total += readRequest(bytes, "streaming-input").payloadBytes;
    },
    halfClose: () => {
      stream.write(writeAggregate(total));
      stream.end(okStatus);
    },
    cancel() {},
  };
}

/** Answers each request with its responses, each after its interval, in order; a request with a status ends the call with it. */
function streaming(stream: ServerStream): ReturnType<StreamHandler> {
  const kind: RequestKind = "streaming-output";
  const waiting: TestRequest[] = [];
  let isBusy = false;
  let isEnded = false;
  let timer: NodeJS.Timeout | undefined;
  echoHead(stream);
  const next = (): void => {
    const request = waiting.shift();
    isBusy = request !== undefined;
    if (request !== undefined) send(request, 0);
    else if (isEnded) stream.end(okStatus, echoedTrailers(stream));
  };
  const send = (request: TestRequest, at: number): void => {
    const parameters = request.parameters[at];
    if (parameters !== undefined) {
      timer = setTimeout(() => {
        stream.write(writeResponse(parameters.size));
        send(request, at + 1);
      }, parameters.intervalUs / 1_000);
    } else if (request.status !== undefined) {
      stream.end(statusOf(request.status), echoedTrailers(stream));
    } else {
      next();
    }
  };
  stream.read(Number.MAX_SAFE_INTEGER);
  return {
    message: (bytes) => {
      waiting.push(readRequest(bytes, kind));
      if (!isBusy) next();
    },
    halfClose: () => {
      isEnded = true;
      if (!isBusy) next();
    },
    cancel: () => clearTimeout(timer),
  };
}

function echoHead(stream: ServerStream): void {
  stream.sendHead(stream.metadata.filter(([name]) => name === "x-grpc-test-echo-initial"));
}

function echoedTrailers(stream: ServerStream): Metadata {
  return stream.metadata.filter(([name]) => name === "x-grpc-test-echo-trailing-bin");
}
