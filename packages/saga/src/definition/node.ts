import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { Transaction } from "@weft/store";
import type { SagaFailure } from "./failure.js";
import type { CompletePolicy } from "./policy.js";
import type { Answer, Looked } from "./step.js";

/** A step's call without its types: what the engine hands over. */
export interface UntypedCall {
  readonly sagaId: string;
  readonly input: unknown;
  readonly results: unknown;
  readonly key: string;
  readonly attempt: number;
  readonly principal: string | undefined;
  readonly signal: AbortSignal;
}

export interface UntypedCompensationCall extends UntypedCall {
  readonly stepKey: string;
  readonly result: Message | undefined;
  readonly failure: SagaFailure;
}

/** Who carries a step out: another service, or the service's own database. */
export type StepWork =
  | {
      readonly t: "remote";
      readonly run: (call: UntypedCall) => Promise<unknown>;
      readonly compensate: ((call: UntypedCompensationCall) => Promise<unknown>) | undefined;
      readonly ask: ((call: UntypedCall) => Promise<Answer<unknown>>) | undefined;
    }
  | {
      readonly t: "local";
      readonly run: (tx: Transaction, call: UntypedCall) => Promise<unknown>;
      readonly compensate: ((tx: Transaction, call: UntypedCompensationCall) => Promise<unknown>) | undefined;
    };

/** Where a step stands: what is before the pivot can be turned back, what is after it cannot. */
export type StepPlace = "before" | "pivot" | "after";

export interface StepNode {
  readonly t: "step";
  readonly name: string;
  readonly place: StepPlace;
  readonly work: StepWork;
  readonly result: DescMessage | undefined;
  readonly policy: CompletePolicy;
}

/** One part of a saga, in order. */
export type SagaNode =
  | StepNode
  | { readonly t: "parallel"; readonly name: string; readonly steps: readonly StepNode[] }
  | {
      readonly t: "sleep";
      readonly name: string;
      readonly durationMs: (call: Looked<unknown, unknown>) => number;
      readonly place: StepPlace;
    }
  | {
      readonly t: "lock";
      readonly name: string;
      readonly key: (call: Looked<unknown, unknown>) => string;
      readonly whenTaken: "wait" | "fail";
      readonly waitMs: number;
    };

/** The steps of a node; none for a sleep or a lock. */
export function stepsOf(node: SagaNode): readonly StepNode[] {
  switch (node.t) {
    case "step":
      return [node];
    case "parallel":
      return node.steps;
    case "sleep":
    case "lock":
      return [];
  }
}
