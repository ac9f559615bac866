import { Code, ConnectError } from "@connectrpc/connect";
import type { Logger } from "@weft/foundation";
import type { EdgeCall, Step } from "./edge-call.js";

/** Codes whose message tells how things stand inside; the public gets these words instead. */
const wordsOf: ReadonlyMap<Code, string> = new Map([
  [Code.Internal, "something went wrong inside"],
  [Code.Unknown, "something went wrong inside"],
  [Code.DataLoss, "something went wrong inside"],
  [Code.Unavailable, "the service is not available at the moment"],
  [Code.Unimplemented, "the service does not offer this"],
  [Code.DeadlineExceeded, "the deadline was exceeded"],
  [Code.Canceled, "the call was cancelled"],
]);

/** The gateway's own answer to a call that it does not let in; its message is meant to be read outside. */
export class EdgeRefusal extends Error {
  override readonly name = "EdgeRefusal";
  readonly code: Code;

  constructor(message: string, code: Code) {
    super(message);
    this.code = code;
  }
}

/**
 * Makes the errors from inside fit for the public. The code stays. A message that tells how things stand inside is replaced and
 * logged; headers and the cause stay here; details stay here too unless a public contract declares their type.
 */
export function presentErrors(options: { readonly contracts: ReadonlySet<string>; readonly logger: Logger }): Step {
  return (next) =>
    async function* (call) {
      try {
        yield* next(call);
      } catch (error) {
        throw presentable(error, call, options);
      }
    };
}

function presentable(
  thrown: unknown,
  call: EdgeCall,
  options: { readonly contracts: ReadonlySet<string>; readonly logger: Logger },
): ConnectError {
  if (thrown instanceof EdgeRefusal) return new ConnectError(thrown.message, thrown.code);
  const error = ConnectError.from(thrown, Code.Internal);
  const words = wordsOf.get(error.code);
  if (words !== undefined && error.code !== Code.Canceled) {
    const { requestId, operation } = call;
    const code = Code[error.code];
    options.logger.warn("a call failed inside", { operation: operation.name, requestId, code, error });
  }
  const shown = new ConnectError(words ?? error.rawMessage, error.code);
  shown.details = error.details.filter((detail) =>
    options.contracts.has("desc" in detail ? detail.desc.typeName : detail.type),
  );
  return shown;
}
