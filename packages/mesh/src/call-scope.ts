import { AsyncLocalStorage } from "node:async_hooks";
import type { Deadline } from "@weft/foundation";

/** What every call made while serving another inherits from it. */
export interface CallScope {
  /** Calls made inside end no later than this. */
  readonly deadline: Deadline;
  /** Aborts when the inbound call is cancelled; calls made inside end with it. Read lazily: making a signal costs. */
  readonly signal: AbortSignal;
  /** The principal, from metadata `weft-user`; carried on to every call made inside. */
  readonly user: string | undefined;
}

const storage = new AsyncLocalStorage<CallScope | undefined>();

/** The inbound call that the running code serves; `undefined` outside any. */
export function currentCallScope(): CallScope | undefined {
  return storage.getStore();
}

/** Runs `work` as part of the given call. */
export function runInCallScope<R>(scope: CallScope, work: () => R): R {
  return storage.run(scope, work);
}

/** Runs `work` outside any call, for background work that a call starts and that must outlive it. */
export function runDetached<R>(work: () => R): R {
  return storage.run(undefined, work);
}
