import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { SagaNode, StepNode, StepPlace, StepWork } from "./node.js";
import { stepsOf } from "./node.js";
import { completePolicy, type StepPolicy } from "./policy.js";
import { holdsSensitive } from "./sensitive.js";
import type { LocalStepOptions, LockOptions, Looked, PivotOptions, ResultOf, StepOptions } from "./step.js";

/** What a saga does, in order. A released version never changes: its rows outlive the program that wrote them. */
export interface SagaDefinition<I extends DescMessage = DescMessage, Results = unknown> {
  readonly name: string;
  readonly version: number;
  readonly input: I;
  readonly nodes: readonly SagaNode[];
  /** Never there: carries the type of the results. */
  readonly resultsType?: Results;
}

/** The input message of a definition. */
export type InputOf<D extends SagaDefinition> = MessageShape<D["input"]>;
/** All results of a definition, by the names of its steps. */
export type ResultsOf<D extends SagaDefinition> = D extends SagaDefinition<DescMessage, infer R> ? R : never;

type With<R, N extends string, S extends DescMessage | undefined> = R & { readonly [K in N]: ResultOf<S> };

/** Steps that run at the same time: none sees the results of the others. */
export interface ParallelSteps<I extends DescMessage, Seen, Added> {
  step<N extends string, S extends DescMessage | undefined = undefined>(
    name: N,
    options: StepOptions<MessageShape<I>, Seen, S>,
  ): ParallelSteps<I, Seen, With<Added, N, S>>;
}

/** A saga past its pivot: what follows has no compensation, and is tried until it succeeds. */
export interface SagaAfterPivot<I extends DescMessage, R> extends SagaDefinition<I, R> {
  step<N extends string, S extends DescMessage | undefined = undefined>(
    name: N,
    options: PivotOptions<MessageShape<I>, R, S>,
  ): SagaAfterPivot<I, With<R, N, S>>;
  local<N extends string, S extends DescMessage | undefined = undefined>(
    name: N,
    options: Omit<LocalStepOptions<MessageShape<I>, R, S>, "compensate">,
  ): SagaAfterPivot<I, With<R, N, S>>;
  sleep(name: string, durationMs: number | ((call: Looked<MessageShape<I>, R>) => number)): SagaAfterPivot<I, R>;
}

/** A saga as it is being defined; each call gives a new definition and changes none. */
export interface SagaBeforePivot<I extends DescMessage, R> extends SagaDefinition<I, R> {
  /** Calls another service. */
  step<N extends string, S extends DescMessage | undefined = undefined>(
    name: N,
    options: StepOptions<MessageShape<I>, R, S>,
  ): SagaBeforePivot<I, With<R, N, S>>;
  /** Changes the service's own database, in the transaction that records the step: exactly once. */
  local<N extends string, S extends DescMessage | undefined = undefined>(
    name: N,
    options: LocalStepOptions<MessageShape<I>, R, S>,
  ): SagaBeforePivot<I, With<R, N, S>>;
  /** Runs several steps at the same time; the next begins when all are done. */
  parallel<Added>(
    name: string,
    steps: (group: ParallelSteps<I, R, unknown>) => ParallelSteps<I, R, Added>,
  ): SagaBeforePivot<I, R & Added>;
  /** Takes a semantic lock that is held until the saga ends, over restarts too. */
  lock(name: string, options: LockOptions<MessageShape<I>, R>): SagaBeforePivot<I, R>;
  /** Waits; the timer is in the database. */
  sleep(name: string, durationMs: number | ((call: Looked<MessageShape<I>, R>) => number)): SagaBeforePivot<I, R>;
  /** The point of no return: before it the saga can be cancelled and turned back, after it only goes forward. */
  pivot<N extends string, S extends DescMessage | undefined = undefined>(
    name: N,
    options: PivotOptions<MessageShape<I>, R, S>,
  ): SagaAfterPivot<I, With<R, N, S>>;
  /** A pivot in the service's own database. */
  localPivot<N extends string, S extends DescMessage | undefined = undefined>(
    name: N,
    options: Omit<LocalStepOptions<MessageShape<I>, R, S>, "compensate">,
  ): SagaAfterPivot<I, With<R, N, S>>;
}

/** Begins a definition. TypeError: a name or version that cannot be, or a message with `sensitive` fields, which a saga must not keep. */
export function saga<I extends DescMessage>(
  name: string,
  options: { readonly version: number; readonly input: I },
): SagaBeforePivot<I, unknown> {
  checkName("saga", name);
  if (!Number.isInteger(options.version) || options.version < 1)
    throw new TypeError(`saga ${JSON.stringify(name)}: version ${options.version}: must be a whole number from 1`);
  checkMessage(`saga ${JSON.stringify(name)}: input`, options.input);
  return fromChain<SagaBeforePivot<I, unknown>>(
    new Chain({ name, version: options.version, input: options.input, nodes: [] }, "before"),
  );
}

interface AnyStep {
  readonly result?: DescMessage | undefined;
  readonly policy?: StepPolicy;
}

/** All stages of a definition are one class: the interfaces above say at which stage which of its methods may be called. */
class Chain implements SagaDefinition {
  readonly name: string;
  readonly version: number;
  readonly input: DescMessage;
  readonly nodes: readonly SagaNode[];
  readonly #place: "before" | "after";

  constructor(definition: SagaDefinition, place: "before" | "after") {
    this.name = definition.name;
    this.version = definition.version;
    this.input = definition.input;
    this.nodes = definition.nodes;
    this.#place = place;
  }

  step(name: string, options: AnyStep): Chain {
    return this.#with(stepNode(name, this.#place, fromRemoteStep(options), options));
  }

  local(name: string, options: AnyStep): Chain {
    return this.#with(stepNode(name, this.#place, fromLocalStep(options), options));
  }

  pivot(name: string, options: AnyStep): Chain {
    return this.#with(stepNode(name, "pivot", fromRemoteStep(options), options), "after");
  }

  localPivot(name: string, options: AnyStep): Chain {
    return this.#with(stepNode(name, "pivot", fromLocalStep(options), options), "after");
  }

  parallel(name: string, define: (group: Group) => Group): Chain {
    const { steps } = define(new Group(this.#place, []));
    if (steps.length === 0) throw new TypeError(`parallel ${JSON.stringify(name)}: has no steps`);
    return this.#with({ t: "parallel", name, steps });
  }

  sleep(name: string, durationMs: number | ((call: Looked<unknown, unknown>) => number)): Chain {
    const of = typeof durationMs === "number" ? () => durationMs : durationMs;
    return this.#with({ t: "sleep", name, durationMs: of, place: this.#place });
  }

  lock(name: string, options: LockOptions<unknown, unknown>): Chain {
    const { whenTaken, waitMs = 60_000 } = options;
    return this.#with({ t: "lock", name, key: (call) => options.key(call), whenTaken, waitMs });
  }

  #with(node: SagaNode, place: "before" | "after" = this.#place): Chain {
    const taken = new Set(this.nodes.flatMap(namesOf));
    for (const name of namesOf(node)) {
      checkName(`saga ${JSON.stringify(this.name)}: step`, name);
      if (taken.has(name))
        throw new TypeError(`saga ${JSON.stringify(this.name)}: two steps are named ${JSON.stringify(name)}`);
      taken.add(name);
    }
    for (const step of stepsOf(node)) {
      if (step.result !== undefined) checkMessage(`step ${JSON.stringify(step.name)}: result`, step.result);
    }
    return new Chain(
      { name: this.name, version: this.version, input: this.input, nodes: [...this.nodes, node] },
      place,
    );
  }
}

class Group {
  readonly steps: readonly StepNode[];
  readonly #place: "before" | "after";
  constructor(place: "before" | "after", steps: readonly StepNode[]) {
    this.#place = place;
    this.steps = steps;
  }

  step(name: string, options: AnyStep): Group {
    return new Group(this.#place, [...this.steps, stepNode(name, this.#place, fromRemoteStep(options), options)]);
  }
}

function stepNode(name: string, place: StepPlace, work: StepWork, options: AnyStep): StepNode {
  return { t: "step", name, place, work, result: options.result, policy: completePolicy(options.policy) };
}

function namesOf(node: SagaNode): readonly string[] {
  return node.t === "parallel" ? [node.name, ...node.steps.map((step) => step.name)] : [node.name];
}

function checkName(what: string, name: string): void {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name))
    throw new TypeError(`${what} ${JSON.stringify(name)}: must be 1 to 40 lower-case letters, digits and dashes`);
}

function checkMessage(what: string, message: DescMessage): void {
  if (holdsSensitive(message))
    throw new TypeError(`${what} ${message.typeName}: has a sensitive field, and what a saga keeps stands in a table`);
}

// The options' types were checked where they were written; from here on the engine sees messages by name.

function fromRemoteStep(options: AnyStep): StepWork {
  const { run, compensate, ask } = options as StepOptions<unknown, unknown, DescMessage>;
  return {
    t: "remote",
    run: (call) => run.call(options, call),
    compensate: compensate && ((call) => compensate.call(options, fromUntyped(call))),
    ask: ask && ((call) => ask.call(options, call)),
  };
}

function fromLocalStep(options: AnyStep): StepWork {
  const { run, compensate } = options as LocalStepOptions<unknown, unknown, DescMessage>;
  return {
    t: "local",
    run: (tx, call) => run.call(options, tx, call),
    compensate: compensate && ((tx, call) => compensate.call(options, tx, fromUntyped(call))),
  };
}

function fromUntyped<T>(call: unknown): T {
  return call as T;
}

function fromChain<T>(chain: Chain): T {
  return chain as unknown as T;
}
