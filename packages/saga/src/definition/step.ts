import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Transaction } from "@weft/store";
import type { SagaFailure } from "./failure.js";
import type { StepPolicy } from "./policy.js";

/** A step's result: its message, or nothing for a step without one. */
export type ResultOf<S extends DescMessage | undefined> = S extends DescMessage ? MessageShape<S> : undefined;

/** What a step's function gives: its result message or the fields of one. */
export type Returned<S extends DescMessage | undefined> = S extends DescMessage ? MessageInitShape<S> : unknown;

/** What a step is given. */
export interface StepCall<Input, Results> {
  readonly sagaId: string;
  readonly input: Input;
  /** The results of the steps before this one, by name. */
  readonly results: Results;
  /** The idempotency key to send: the same for each attempt of this step of this saga, from whichever process. */
  readonly key: string;
  /** 1 for the first attempt that is known of. */
  readonly attempt: number;
  /** For whom the saga was started; calls through the mesh carry it by themselves. */
  readonly principal: string | undefined;
  /** Aborts at the attempt's own deadline. The deadline of the call that started the saga is not in it. */
  readonly signal: AbortSignal;
}

/** What a compensation is given. */
export interface CompensationCall<Input, Results, Result> extends Omit<StepCall<Input, Results>, "key"> {
  /** The compensation's own idempotency key, as stable as the step's. */
  readonly key: string;
  /** The key under which the step was called. */
  readonly stepKey: string;
  /** The step's result; nothing when it was never learned: undo by {@link stepKey} then, and see to it that a late call is refused. */
  readonly result: Result | undefined;
  /** Why the saga turned back. */
  readonly failure: SagaFailure;
}

/** What looking up a step with an unknown outcome found. Throw when it cannot be told now: it is asked again. */
export type Answer<Result> =
  /** It happened. */
  | { readonly t: "found"; readonly result: Result }
  /** It has not happened; a late call may still do it. Tried again going forward, compensated going back. */
  | { readonly t: "absent" }
  /** It has not happened and cannot any more. Going back there is nothing to compensate. */
  | { readonly t: "never" };

/** A step that calls another service. */
export interface StepOptions<Input, Results, S extends DescMessage | undefined> {
  /** The message that the result is kept as; without it the step has no result. */
  readonly result?: S;
  /** Does it. May be called more than once with the same key, also after it succeeded. */
  run(call: StepCall<Input, Results>): Promise<Returned<S>>;
  /** Undoes it; may be called more than once, also when `run` did nothing. A step without this has nothing to undo. */
  compensate?(call: CompensationCall<Input, Results, ResultOf<S>>): Promise<unknown>;
  /** Looks up whether it happened, after an attempt whose outcome is unknown. Without this it is tried again, or compensated, by its key. */
  ask?(call: StepCall<Input, Results>): Promise<Answer<Returned<S>>>;
  readonly policy?: StepPolicy;
}

/** The step from which on the saga only goes forward. */
export type PivotOptions<Input, Results, S extends DescMessage | undefined> = Omit<
  StepOptions<Input, Results, S>,
  "compensate"
>;

/** A step in the service's own database: it commits together with its result, so it happens exactly once. */
export interface LocalStepOptions<Input, Results, S extends DescMessage | undefined> {
  readonly result?: S;
  /** Runs in the transaction that records its result; must do nothing outside it. */
  run(tx: Transaction, call: StepCall<Input, Results>): Promise<Returned<S>>;
  /** Runs in the transaction that records the compensation. */
  compensate?(tx: Transaction, call: CompensationCall<Input, Results, ResultOf<S>>): Promise<unknown>;
  readonly policy?: StepPolicy;
}

/** What a lock, a sleep or another decision may look at. */
export type Looked<Input, Results> = Pick<StepCall<Input, Results>, "sagaId" | "input" | "results">;

/** A semantic lock: one saga at a time for each key, until it ends. */
export interface LockOptions<Input, Results> {
  key(call: Looked<Input, Results>): string;
  /** `wait`: in the order of arrival. `fail`: the saga turns back with ABORTED when another holds it. */
  readonly whenTaken: "wait" | "fail";
  /** How long to wait before the saga turns back, which also ends sagas that wait for each other. Default 60 s. */
  readonly waitMs?: number;
}
