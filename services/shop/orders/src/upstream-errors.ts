import { Code, ConnectError } from "@connectrpc/connect";
import { OutOfStockDetailSchema } from "@weft/contracts/shop/inventory/v1";

/** Codes that mean the same to our caller as to us. */
const passedOn: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.Unavailable,
  Code.ResourceExhausted,
  Code.Aborted,
]);

/**
 * What another service's error is to our caller. Short stock goes on with its detail; what may pass goes on with its code; anything else
 * is a mistake of ours in asking, so INTERNAL. Headers and unknown details of the other service stay here.
 */
export function fromUpstreamError(service: string, error: unknown): ConnectError {
  const upstream = ConnectError.from(error);
  if (upstream.code === Code.FailedPrecondition) {
    const details = upstream
      .findDetails(OutOfStockDetailSchema)
      .map((value) => ({ desc: OutOfStockDetailSchema, value }));
    return new ConnectError(upstream.rawMessage, upstream.code, undefined, details, error);
  }
  if (passedOn.has(upstream.code)) {
    return new ConnectError(`${service}: ${upstream.rawMessage}`, upstream.code, undefined, undefined, error);
  }
  return new ConnectError(`${service} refused what was asked of it`, Code.Internal, undefined, undefined, error);
}
