import { Code, ConnectError } from "@connectrpc/connect";
import { type Context, context, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import { type Clock, deadlineIn } from "@weft/foundation";
import { runInCallScope } from "@weft/mesh";
import type { ErrorClass } from "../definition/policy.js";
import type { EntryError } from "../state/progress.js";
import type { SagaInstruments } from "../telemetry/instruments.js";
import { classifyError, keptError } from "./classify.js";

/** The engine ends: what was under way is left to whoever resumes the saga. */
export class EngineStopped extends Error {
  override readonly name = "EngineStopped";
  constructor() {
    super("the saga engine stopped");
  }
}

/** The saga is another worker's: nothing that this process still knows of it counts. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
  constructor() {
    super("the saga's lease is another worker's");
  }
}

export type Outcome<T> =
  | { readonly t: "done"; readonly value: T }
  | { readonly t: "failed"; readonly error: EntryError };

/** What each attempt of one process has in common. */
export interface AttemptSupport {
  readonly clock: Clock;
  readonly tracer: Tracer;
  readonly instruments: SagaInstruments;
  readonly redact: (text: string) => string;
  /** Aborts when nothing is waited for any more. */
  readonly stop: AbortSignal;
}

export interface AttemptOptions {
  readonly kind: "run" | "ask" | "compensate";
  readonly saga: { readonly id: string; readonly name: string; readonly version: number };
  readonly step: string;
  readonly attempt: number;
  readonly timeoutMs: number;
  /** The saga's own trace. */
  readonly parent: Context;
  readonly principal: string | undefined;
  readonly classify: ((error: unknown) => ErrorClass | undefined) | undefined;
}

/**
 * Carries out one attempt: in the saga's trace, for its user, under a deadline of its own and outside whatever call this process serves.
 * What comes after the deadline is not looked at: the outcome is unknown then. Rejects with {@link EngineStopped} and {@link LeaseLost} only.
 */
export async function attempt<T>(
  support: AttemptSupport,
  options: AttemptOptions,
  work: (ending: Ending) => Promise<T>,
): Promise<Outcome<T>> {
  const { clock, tracer, instruments, stop } = support;
  if (stop.aborted) throw new EngineStopped();
  const attributes = { "weft.saga": options.saga.name, "weft.saga.step": options.step, "weft.saga.kind": options.kind };
  const suffix = options.kind === "run" ? "" : ` ${options.kind}`;
  const span = tracer.startSpan(
    `saga ${options.saga.name}/${options.step}${suffix}`,
    {
      kind: SpanKind.INTERNAL,
      attributes: { ...attributes, "weft.saga.id": options.saga.id, "weft.saga.attempt": options.attempt },
    },
    options.parent,
  );
  const startMs = clock.nowMs();
  const end = (outcome: string): void => {
    if (outcome !== "done") span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
    span.setAttribute("weft.saga.outcome", outcome);
    span.end();
    instruments.attempts.record((clock.nowMs() - startMs) / 1_000, {
      saga: options.saga.name,
      step: options.step,
      kind: options.kind,
      outcome,
    });
  };
  try {
    const value = await bounded(support, options, (ending) =>
      context.with(trace.setSpan(options.parent, span), () =>
        runInCallScope(
          {
            deadline: deadlineIn(options.timeoutMs, clock),
            user: options.principal,
            get signal() {
              return ending.signal;
            },
          },
          () => work(ending),
        ),
      ),
    );
    end("done");
    return { t: "done", value };
  } catch (error) {
    if (error instanceof EngineStopped || error instanceof LeaseLost) {
      end("stopped");
      throw error;
    }
    const errorClass = error instanceof NoAnswer ? "unknown" : (options.classify?.(error) ?? classifyError(error));
    end(errorClass);
    return {
      t: "failed",
      error: keptError(error instanceof NoAnswer ? error.status : error, errorClass, support.redact),
    };
  }
}

/** When an attempt is waited for no more. */
export class Ending {
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  /** Made when it is first asked for: most attempts are over before anyone has. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}

class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  readonly status: ConnectError;
  constructor(afterMs: number) {
    super("no answer in time");
    this.status = new ConnectError(`no answer within ${afterMs} ms`, Code.DeadlineExceeded);
  }
}

/** The work's end, or the deadline's, or the engine's: whichever is first, and only that. */
function bounded<T>(
  { clock, stop }: AttemptSupport,
  { timeoutMs }: AttemptOptions,
  work: (ending: Ending) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const ending = new Ending();
    const settle = (finish: () => void): void => {
      timer[Symbol.dispose]();
      stop.removeEventListener("abort", onStop);
      finish();
    };
    const giveUp = (error: Error): void => {
      settle(() => reject(error));
      ending.abort(error);
    };
    const onStop = (): void => giveUp(new EngineStopped());
    const timer = clock.after(timeoutMs, () => giveUp(new NoAnswer(timeoutMs)));
    stop.addEventListener("abort", onStop, { once: true });
    work(ending).then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}
