import { Code, ConnectError } from "@connectrpc/connect";

/** Codes that mean the same to our caller as to us. */
const passedOn: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.Unavailable,
  Code.ResourceExhausted,
  Code.Aborted,
]);

/**
 * What the catalog's error is to our caller: what may pass goes on with its code; anything else is a mistake of ours in asking, so INTERNAL.
 * Headers and details of the catalog stay here.
 */
export function fromCatalogError(error: unknown): ConnectError {
  const upstream = ConnectError.from(error);
  if (passedOn.has(upstream.code))
    return new ConnectError(`catalog: ${upstream.rawMessage}`, upstream.code, undefined, undefined, error);
  return new ConnectError("catalog refused what was asked of it", Code.Internal, undefined, undefined, error);
}
