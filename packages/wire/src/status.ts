/** gRPC status codes (grpc/doc/statuscodes.md). */
export const StatusCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;
export type StatusCode = (typeof StatusCode)[keyof typeof StatusCode];

/** How a stream ended. */
export interface Status {
  readonly code: StatusCode;
  /** Empty for OK. Never holds what must stay inside: it is sent to the peer. */
  readonly message: string;
  /** A serialized `google.rpc.Status`, sent as `grpc-status-details-bin`. */
  readonly details?: Uint8Array;
}

export const okStatus: Status = { code: StatusCode.ok, message: "" };

/** Reads a status code from the wire; one that gRPC does not know counts as UNKNOWN. */
export function parseStatusCode(value: number): StatusCode {
  for (const code of Object.values(StatusCode)) if (code === value) return code;
  return StatusCode.unknown;
}

const statusNames = new Map<StatusCode, string>(
  Object.entries(StatusCode).map(([name, code]) => [code, name.replaceAll(/[A-Z]/g, "_$&").toUpperCase()]),
);

/** The code as gRPC writes it, such as `NOT_FOUND`. */
export function statusName(code: StatusCode): string {
  return statusNames.get(code) ?? "UNKNOWN";
}
