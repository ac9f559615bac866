import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "@weft/contracts/grpc/health/v1";
import type { Watch } from "@weft/foundation";
import { okStatus, type ServerStream, StatusCode, type StreamHandler } from "@weft/wire";

/** gRPC health checking (grpc/doc/health-checking.md) of a server that has one state for all its services. */
export function healthMethods(serving: Watch<boolean>, services: readonly string[]): Map<string, StreamHandler> {
  const known = new Set(["", ...services]);
  const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus;
  const reply = (stream: ServerStream, service: string): void => {
    const status = known.has(service) ? (serving.value ? SERVING : NOT_SERVING) : SERVICE_UNKNOWN;
    stream.write(toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status })));
  };
  const handler =
    (answer: (stream: ServerStream, service: string) => Disposable | undefined): StreamHandler =>
    (stream) => {
      let watching: Disposable | undefined;
      let asked = false;
      stream.read(1);
      return {
        message(bytes) {
          asked = true;
          try {
            watching = answer(stream, fromBinary(HealthCheckRequestSchema, bytes).service);
          } catch {
            // Bytes that are no request: the caller is told, nothing here needs to know why.
            stream.end({ code: StatusCode.invalidArgument, message: "health: the message is no HealthCheckRequest" });
          }
        },
        halfClose() {
          if (!asked) stream.end({ code: StatusCode.invalidArgument, message: "health: there is no request" });
        },
        cancel() {
          watching?.[Symbol.dispose]();
        },
      };
    };
  return new Map([
    [
      "/grpc.health.v1.Health/Check",
      handler((stream, service) => {
        if (!known.has(service)) {
          stream.end({ code: StatusCode.notFound, message: `health: service ${JSON.stringify(service)} is not known` });
          return undefined;
        }
        reply(stream, service);
        stream.end(okStatus);
        return undefined;
      }),
    ],
    [
      "/grpc.health.v1.Health/Watch",
      handler((stream, service) => {
        reply(stream, service);
        return serving.subscribe(() => reply(stream, service));
      }),
    ],
  ]);
}
