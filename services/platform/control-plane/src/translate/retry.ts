import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RetryPolicySchema } from "@weft/contracts/envoy/config/route/v3";

/**
 * What every route retries: a call that ended UNAVAILABLE, twice more at most, after 25 ms and then up to 250 ms.
 * Which calls may be retried at all, and under which budget, the client decides.
 */
export const defaultRetry: MessageInitShape<typeof RetryPolicySchema> = {
  retryOn: "unavailable",
  numRetries: 2,
  retryBackOff: { baseInterval: { nanos: 25_000_000 }, maxInterval: { nanos: 250_000_000 } },
};
