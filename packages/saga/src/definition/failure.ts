import { Code, ConnectError } from "@connectrpc/connect";

/** An error as a saga keeps it. */
export interface KeptError {
  readonly code: Code;
  readonly message: string;
  readonly details: readonly { readonly type: string; readonly value: Uint8Array }[];
}

/** Why a saga turned back. */
export interface SagaFailure extends KeptError {
  /** The step that failed; empty when the saga was cancelled. */
  readonly step: string;
}

/** The failure as an error to throw. Its details are found by `findDetails`, as those of a call's error are. */
export function failureError(failure: SagaFailure): ConnectError {
  const error = new ConnectError(failure.message, failure.code);
  error.details = failure.details.map(({ type, value }) => ({ type, value }));
  return error;
}

/** The code of a number that was kept; what is not one is UNKNOWN. */
export function parseCode(value: number): Code {
  const known = Object.values(Code).find((code) => code === value);
  return typeof known === "number" ? known : Code.Unknown;
}
