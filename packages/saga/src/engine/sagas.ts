import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Watch } from "@weft/foundation";
import type { CallBounds, Transaction } from "@weft/store";
import type { SagaFailure } from "../definition/failure.js";
import type { InputOf, ResultsOf, SagaDefinition } from "../definition/saga.js";
import type { SagaState } from "../state/saga-state.js";

/** A saga to start. */
export interface SagaRequest<D extends SagaDefinition> {
  /** Names the saga among all sagas of the service, such as the id of its order: 1 to 64 characters. Starting the same id again changes nothing. */
  readonly id: string;
  readonly input: MessageInitShape<D["input"]>;
  /** For whom it runs. Default: the user of the call that is being served. */
  readonly principal?: string;
}

/** What became of a saga. */
export type SagaOutcome<Results> =
  | { readonly t: "completed"; readonly results: Results }
  | { readonly t: "compensated"; readonly failure: SagaFailure }
  /** It waits for an operator; it may yet end either way. */
  | { readonly t: "parked"; readonly reason: string };

/** A saga as it stands. */
export interface SagaView<D extends SagaDefinition> {
  readonly sagaId: string;
  readonly version: number;
  readonly state: SagaState;
  /** The step that it is at, or was at when it ended. */
  readonly step: string;
  /** True from the moment from which it cannot be cancelled. */
  readonly pivotBegun: boolean;
  readonly input: InputOf<D>;
  /** The results that there are so far. */
  readonly results: Partial<ResultsOf<D>>;
  /** Why it turned back, if it did. */
  readonly failure: SagaFailure | undefined;
  /** Why it is parked, if it is. */
  readonly parkedReason: string | undefined;
  readonly principal: string | undefined;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/**
 * The answer to a cancellation. Whoever comes first wins: the cancellation or the pivot, never both.
 * `accepted`: the saga turns back. `too-late`: its pivot was begun, or it is past it. `ended`: it has ended already.
 */
export type CancelAnswer = "accepted" | "too-late" | "ended" | "not-found";

/** Something that needs a person. */
export type SagaAlarm =
  | { readonly t: "parked"; readonly name: string; readonly version: number; readonly count: number }
  /** This program does not know the version; another one may. */
  | { readonly t: "unknown-version"; readonly name: string; readonly version: number; readonly count: number };

/** The durable sagas of one service. */
export interface Sagas extends AsyncDisposable {
  /**
   * Records a saga together with the intent of its first step, and begins it. Resolves when it is recorded: from then on it ends, whatever
   * happens to this process. ALREADY_EXISTS: the id is taken by a saga with another definition or another input.
   */
  start<D extends SagaDefinition>(definition: D, request: SagaRequest<D>, bounds?: CallBounds): Promise<void>;
  /**
   * Records a saga in the caller's transaction: it is started if that commits. It begins when {@link begin} is called after the commit, or
   * with the next look for work.
   */
  enqueue<D extends SagaDefinition>(tx: Transaction, definition: D, request: SagaRequest<D>): Promise<void>;
  /** Begins an enqueued saga now, in this process. Call it after the commit; harmless at any time. */
  begin(id: string): Promise<void>;
  /** Waits until a saga has ended or is parked, wherever it runs. NOT_FOUND: there is none with this id and definition. */
  outcome<D extends SagaDefinition>(definition: D, id: string, bounds?: CallBounds): Promise<SagaOutcome<ResultsOf<D>>>;
  /** A saga as it stands; nothing when there is none with this id and definition. Versions that this program does not know are not given. */
  query<D extends SagaDefinition>(definition: D, id: string, bounds?: CallBounds): Promise<SagaView<D> | undefined>;
  /** Asks a saga to turn back. The reason stands in its failure, which has the code CANCELED. */
  cancel(id: string, reason: string, bounds?: CallBounds): Promise<CancelAnswer>;
  /** The same in a transaction of the caller's. */
  cancelIn(tx: Transaction, id: string, reason: string): Promise<CancelAnswer>;
  /**
   * Carries sagas out until the signal aborts: this process' own and those that other replicas left behind. Then the steps under way get
   * `drainMs` to end, and the rest is given to other replicas. Run it in the service's scope.
   */
  work(signal: AbortSignal): Promise<void>;
  /** What needs a person; looked up now and then while {@link work} runs. */
  readonly alarms: Watch<readonly SagaAlarm[]>;
}
