import { Code } from "@connectrpc/connect";
import type { StepNode, UntypedCall, UntypedCompensationCall } from "../definition/node.js";
import type { Answer } from "../definition/step.js";
import type { Progress } from "../state/progress.js";
import { attempt, type Outcome } from "./attempt.js";
import { encodeResult, type Results } from "./messages.js";
import type { RunStart, RunSupport } from "./run-start.js";

/** What a look-up found, its result as it is kept. */
export type Asked =
  | { readonly t: "found"; readonly bytes: Uint8Array | undefined }
  | { readonly t: "absent" | "never" };

/** The attempts of one saga: what each is given, and how long it may take. */
export class StepCalls {
  readonly #support: RunSupport;
  readonly #start: RunStart;
  readonly #results: Results;

  constructor(support: RunSupport, start: RunStart, results: Results) {
    this.#support = support;
    this.#start = start;
    this.#results = results;
  }

  attempt<T>(
    progress: Progress,
    step: StepNode,
    kind: "run" | "ask" | "compensate",
    work: (call: UntypedCall) => Promise<T>,
  ): Promise<Outcome<T>> {
    const { definition, sagaId, parent, principal, input } = this.#start;
    const entry = progress.entries.get(step.name);
    const number = 1 + ((kind === "compensate" ? entry?.undoAttempts : entry?.attempts) ?? 0);
    const { policy } = step;
    return attempt(
      this.#support,
      {
        kind,
        saga: { id: sagaId, name: definition.name, version: definition.version },
        step: step.name,
        attempt: number,
        timeoutMs: kind === "compensate" ? policy.compensationTimeoutMs : policy.timeoutMs,
        parent,
        principal,
        classify: kind === "run" ? policy.classify : undefined,
      },
      async (ending) =>
        work({
          sagaId,
          input,
          results: this.#results.all(progress),
          key: stepKey(sagaId, step.name),
          attempt: number,
          principal,
          get signal() {
            return ending.signal;
          },
        }),
    );
  }

  async ask(
    progress: Progress,
    step: StepNode,
    ask: (call: UntypedCall) => Promise<Answer<unknown>>,
  ): Promise<Outcome<Asked>> {
    const outcome = await this.attempt(progress, step, "ask", async (call): Promise<Asked> => {
      const answer = await ask(call);
      return answer.t === "found" ? { t: "found", bytes: encodeResult(step.result, answer.result) } : answer;
    });
    // A look-up that fails tells nothing of the step, whatever its error says.
    return outcome.t === "done" ? outcome : { t: "failed", error: { ...outcome.error, errorClass: "unknown" } };
  }

  forCompensation(progress: Progress, step: StepNode, call: UntypedCall): UntypedCompensationCall {
    return {
      ...call,
      key: `${call.key}/undo`,
      stepKey: call.key,
      result: this.#results.resultOf(progress, step.name),
      failure: progress.failure ?? { step: "", code: Code.Unknown, message: "", details: [] },
    };
  }
}

/** The idempotency key of a step of a saga. */
export function stepKey(sagaId: string, step: string): string {
  return `saga/${sagaId}/${step}`;
}
