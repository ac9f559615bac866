import type { Context, Tracer } from "@opentelemetry/api";
import type { Clock, Logger } from "@weft/foundation";
import type { Database } from "@weft/store";
import type { SagaDefinition } from "../definition/saga.js";
import type { SagaRows, SagaWrite, WriteAnswer } from "../rows/saga-rows.js";
import type { Progress } from "../state/progress.js";
import type { SagaState } from "../state/saga-state.js";
import type { SagaInstruments } from "../telemetry/instruments.js";
import type { Lease } from "./lease.js";

/** What all runs of one process share. */
export interface RunSupport {
  readonly database: Database;
  readonly rows: SagaRows;
  readonly lease: Lease;
  /** Writes in groups. */
  readonly write: (write: SagaWrite) => Promise<WriteAnswer>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly tracer: Tracer;
  readonly instruments: SagaInstruments;
  readonly redact: (text: string) => string;
  /** The time for SQL, where it is not the database's own. */
  readonly time: () => Date | null;
  /** Aborts when no new step is to be begun. */
  readonly stopping: AbortSignal;
  /** Aborts when nothing is waited for any more. */
  readonly stop: AbortSignal;
}

/** A saga that this process holds the lease of. */
export interface RunStart {
  readonly definition: SagaDefinition;
  readonly sagaId: string;
  readonly input: unknown;
  readonly principal: string | undefined;
  readonly parent: Context;
  /** The database's time, and this process' at the same moment. */
  readonly databaseMs: number;
  readonly clockMs: number;
  readonly fence: bigint;
  readonly revision: bigint;
  readonly pivotBegun: boolean;
  readonly cancelReason: string | undefined;
  /** The progress in the row. A step that is `started` in it and not uncertain was not called yet. */
  readonly progress: Progress;
}

/** How this process' part in a saga ended. */
export type RunEnd =
  | {
      readonly t: "ended";
      readonly state: SagaState;
      readonly progress: Progress;
      readonly parkedReason: string | undefined;
      readonly watched: boolean;
    }
  /** It waits in the database, for so long. */
  | { readonly t: "waiting"; readonly inMs: number }
  /** It is another worker's, or will be. */
  | { readonly t: "given-up" };
