import { ErrorCode, errorCodeName } from "../frame/error-code.js";
import { type Status, StatusCode } from "../status.js";
import type { StreamClosure } from "../stream/stream.js";

/** The code of a stream that its peer reset (gRPC over HTTP/2, "Errors"). */
function codeOfReset(code: number): StatusCode {
  switch (code) {
    case ErrorCode.refusedStream:
      return StatusCode.unavailable;
    case ErrorCode.cancel:
      return StatusCode.cancelled;
    case ErrorCode.enhanceYourCalm:
      return StatusCode.resourceExhausted;
    case ErrorCode.inadequateSecurity:
      return StatusCode.permissionDenied;
    default:
      return StatusCode.internal;
  }
}

/** What a client makes of a stream that ended without a status. */
export function statusOfClosure(closure: StreamClosure): Status {
  switch (closure.t) {
    case "reset":
      return { code: codeOfReset(closure.code), message: `the stream was reset with ${errorCodeName(closure.code)}` };
    case "broken":
      return { code: StatusCode.internal, message: `the server broke a rule of HTTP/2: ${closure.message}` };
    case "refused":
      return { code: StatusCode.unavailable, message: closure.message };
    case "lost": {
      const reason = closure.cause === undefined ? "closed by this side" : closure.cause.message;
      return { code: StatusCode.unavailable, message: `the connection is gone: ${reason}` };
    }
  }
}
