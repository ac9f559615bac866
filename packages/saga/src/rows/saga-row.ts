import { column, type Row } from "@weft/store";
import { parseSagaState, type SagaPhase, type SagaState } from "../state/saga-state.js";

/** One saga as its row has it. */
export interface SagaRow {
  readonly sagaId: string;
  readonly sequence: bigint;
  readonly name: string;
  readonly version: number;
  readonly state: SagaState;
  readonly parkedFrom: SagaPhase | undefined;
  readonly parkedReason: string | undefined;
  readonly step: string;
  readonly pivotBegun: boolean;
  readonly cancelReason: string | undefined;
  readonly input: Uint8Array;
  readonly journal: Uint8Array;
  readonly principal: string | undefined;
  readonly traceParent: string | undefined;
  readonly traceState: string | undefined;
  readonly owner: string | undefined;
  readonly fence: bigint;
  readonly revision: bigint;
  readonly takeovers: number;
  readonly dueAt: Date;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** The columns that {@link parseSagaRow} reads. */
export const sagaColumns = `s.saga_id, s.sequence, s.name, s.version, s.state, s.parked_from, s.parked_reason, s.step, s.pivot_begun, s.cancel_reason,
  s.input, s.journal, s.principal, s.trace_parent, s.trace_state, s.owner, s.fence, s.revision, s.takeovers, s.due_at, s.created_at, s.updated_at`;

export function parseSagaRow(row: Row): SagaRow {
  const parkedFrom = optionalText(row, "parked_from");
  return {
    sagaId: column.text(row, "saga_id"),
    sequence: column.bigint(row, "sequence"),
    name: column.text(row, "name"),
    version: column.integer(row, "version"),
    state: parseSagaState(column.text(row, "state")),
    parkedFrom: parkedFrom === "running" || parkedFrom === "compensating" ? parkedFrom : undefined,
    parkedReason: optionalText(row, "parked_reason"),
    step: column.text(row, "step"),
    pivotBegun: column.boolean(row, "pivot_begun"),
    cancelReason: optionalText(row, "cancel_reason"),
    input: column.bytes(row, "input"),
    journal: column.bytes(row, "journal"),
    principal: optionalText(row, "principal"),
    traceParent: optionalText(row, "trace_parent"),
    traceState: optionalText(row, "trace_state"),
    owner: optionalText(row, "owner"),
    fence: column.bigint(row, "fence"),
    revision: column.bigint(row, "revision"),
    takeovers: column.integer(row, "takeovers"),
    dueAt: column.timestamp(row, "due_at"),
    createdAt: column.timestamp(row, "created_at"),
    updatedAt: column.timestamp(row, "updated_at"),
  };
}

/** The direction in which a saga goes, or went when it ended or was parked. */
export function phaseOf(row: SagaRow): SagaPhase {
  switch (row.state) {
    case "running":
    case "completed":
      return "running";
    case "compensating":
    case "compensated":
      return "compensating";
    case "parked":
      return row.parkedFrom ?? "running";
  }
}

export function optionalText(row: Row, name: string): string | undefined {
  const value = row[name];
  return value === null || value === undefined ? undefined : column.text(row, name);
}
