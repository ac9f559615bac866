import { Code, ConnectError } from "@connectrpc/connect";
import type { ErrorClass } from "../definition/policy.js";
import type { EntryError } from "../state/progress.js";

const refusals: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.Unimplemented,
]);

/**
 * What an error means when a step's policy does not say.
 *
 * | code | class |
 * | --- | --- |
 * | INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, UNAUTHENTICATED, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED | refused |
 * | RESOURCE_EXHAUSTED | transient: turned away before anything was done |
 * | everything else, UNAVAILABLE, ABORTED and DEADLINE_EXCEEDED among it, and errors that are no status | unknown |
 */
export function classifyError(error: unknown): ErrorClass {
  if (!(error instanceof ConnectError)) return "unknown";
  if (refusals.has(error.code)) return "refused";
  return error.code === Code.ResourceExhausted ? "transient" : "unknown";
}

/** An error as it is kept: its code, its message without what must not be shown, its details. */
export function keptError(error: unknown, errorClass: ErrorClass, redact: (text: string) => string): EntryError {
  const status = ConnectError.from(error);
  const details: { type: string; value: Uint8Array }[] = [];
  for (const detail of status.details) if ("type" in detail) details.push({ type: detail.type, value: detail.value });
  return { code: status.code, message: redact(status.rawMessage).slice(0, 2_000), details, errorClass };
}
