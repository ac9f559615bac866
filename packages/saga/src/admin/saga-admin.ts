import { create, type DescMessage, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { column, type Database, type Queries, type Row, type Transaction } from "@weft/store";
import { stepsOf } from "../definition/node.js";
import type { SagaDefinition } from "../definition/saga.js";
import { parseSagaRow, phaseOf, type SagaRow, sagaColumns } from "../rows/saga-row.js";
import { createSagaRows, type SagaCount } from "../rows/saga-rows.js";
import { encodeJournal, parseJournal } from "../state/journal.js";
import { cancelledFailure, turnedBack } from "../state/plan.js";
import { type Entry, type Progress, withEntry } from "../state/progress.js";
import { isFinal, type SagaPhase, type SagaState } from "../state/saga-state.js";
import { traceIdOf } from "../telemetry/trace-context.js";

/** One saga as an operator sees it. */
export interface SagaSummary {
  readonly sagaId: string;
  readonly name: string;
  readonly version: number;
  readonly state: SagaState;
  readonly step: string;
  /** Why it is parked, or why it turned back; empty otherwise. */
  readonly reason: string;
  readonly traceId: string;
  readonly createTime: Date;
  readonly updateTime: Date;
  /** When it goes on by itself; nothing when it has ended, is parked, or runs right now. */
  readonly dueTime: Date | undefined;
  readonly knownVersion: boolean;
}

export interface SagaStepDetail {
  readonly name: string;
  readonly entry: Entry | undefined;
  /** As JSON; empty when there is none. */
  readonly resultJson: string;
}

/** One act of an operator, as it stands in its audit row. */
export interface SagaAct {
  readonly actTime: Date;
  readonly operator: string;
  readonly act: string;
  readonly step: string;
  readonly reason: string;
}

export interface SagaDetail {
  readonly saga: SagaSummary;
  readonly inputJson: string;
  /** In the order of the definition. */
  readonly steps: readonly SagaStepDetail[];
  readonly acts: readonly SagaAct[];
}

export interface SagaFilter {
  /** Default 50. */
  readonly pageSize?: number;
  /** Sagas before this one. */
  readonly before?: bigint;
  readonly name?: string;
  readonly states?: readonly SagaState[];
}

/** Who acts on which saga, and why; all of it stands in the audit row. */
export interface OperatorAct {
  readonly sagaId: string;
  readonly operator: string;
  readonly reason: string;
}

/**
 * The operator's hand. Acts run in the caller's transaction and leave an audit row in it; the saga goes on after the commit.
 * NOT_FOUND: there is no such saga. FAILED_PRECONDITION: it is in no state for that.
 */
export interface SagaAdmin {
  list(filter: SagaFilter): Promise<{ readonly sagas: readonly SagaSummary[]; readonly next: bigint | undefined }>;
  show(sagaId: string, queries?: Queries): Promise<SagaDetail>;
  /** Sagas that have not ended, by version: how far old ones are drained. */
  counts(): Promise<readonly (SagaCount & { readonly knownVersion: boolean })[]>;
  /** Goes on now with a saga that is parked or waits; its attempts count anew. */
  retry(tx: Transaction, act: OperatorAct): Promise<void>;
  /** Takes the operator's word that a step is done, or going back that it needs no compensation. */
  skip(tx: Transaction, act: OperatorAct & { readonly step: string; readonly resultJson?: string }): Promise<void>;
  /** Turns a saga back. After the pivot only with `force`, and only when it is parked. */
  compensate(tx: Transaction, act: OperatorAct & { readonly force?: boolean }): Promise<void>;
}

export function createSagaAdmin(options: {
  readonly database: Database;
  readonly definitions: readonly SagaDefinition[];
}): SagaAdmin {
  const { database, definitions } = options;
  const rows = createSagaRows(database);
  const definitionOf = (row: { readonly name: string; readonly version: number }): SagaDefinition | undefined =>
    definitions.find(({ name, version }) => name === row.name && version === row.version);

  const summary = (row: SagaRow, progress: Progress | undefined): SagaSummary => ({
    sagaId: row.sagaId,
    name: row.name,
    version: row.version,
    state: row.state,
    step: row.step,
    reason: row.parkedReason ?? progress?.failure?.message ?? "",
    traceId: traceIdOf(row.traceParent),
    createTime: row.createdAt,
    updateTime: row.updatedAt,
    dueTime: isFinal(row.state) || row.state === "parked" || row.owner !== undefined ? undefined : row.dueAt,
    knownVersion: definitionOf(row) !== undefined,
  });

  /** The row, locked, with nobody carrying it out. */
  const held = async (
    tx: Transaction,
    sagaId: string,
  ): Promise<{ row: SagaRow; definition: SagaDefinition; progress: Progress }> => {
    const [found] = await tx.query(`SELECT ${sagaColumns} FROM weft_sagas s WHERE s.saga_id = $1 FOR UPDATE`, [sagaId]);
    if (found === undefined) throw notFound(sagaId);
    const row = parseSagaRow(found);
    const definition = definitionOf(row);
    if (definition === undefined)
      throw unfit(sagaId, `version ${row.version} of ${row.name} is not known to this program`);
    if (isFinal(row.state)) throw unfit(sagaId, `it is ${row.state}`);
    if (row.owner !== undefined) throw unfit(sagaId, "it is being carried out right now: try again in a moment");
    return { row, definition, progress: parseJournal(phaseOf(row), row.journal) };
  };

  /** Writes the saga so that any worker goes on with it; a lease that somebody still believes in counts no more. */
  const goOn = async (tx: Transaction, row: SagaRow, progress: Progress): Promise<void> => {
    let fresh = progress;
    for (const { name, state } of progress.entries.values()) {
      const waits = state === "waiting" || state === "undoing" || state === "started";
      if (waits) fresh = withEntry(fresh, name, { attempts: 0, undoAttempts: 0, dueMs: 0 });
    }
    await tx.query(
      `UPDATE weft_sagas SET state = $2, parked_from = NULL, parked_reason = NULL, journal = $3, fence = fence + 1, revision = revision + 1,
         takeovers = 0, due_at = now(), updated_at = now() WHERE saga_id = $1`,
      [row.sagaId, fresh.phase, Buffer.from(encodeJournal(fresh))],
    );
    await rows.notify(["work"], tx);
  };

  const audit = (tx: Transaction, act: OperatorAct, what: string, step: string): Promise<readonly Row[]> =>
    tx.query(
      "INSERT INTO weft_saga_acts (saga_id, operator, act, step, reason, acted_at) VALUES ($1, $2, $3, $4, $5, now())",
      [act.sagaId, act.operator, what, step, act.reason],
    );

  return {
    async list({ pageSize = 50, before, name, states }) {
      const found = await database.query(
        `SELECT ${sagaColumns} FROM weft_sagas s
         WHERE ($1::bigint IS NULL OR s.sequence < $1) AND ($2::text IS NULL OR s.name = $2) AND ($3::text[] IS NULL OR s.state = ANY($3))
         ORDER BY s.sequence DESC LIMIT $4`,
        [before ?? null, name ?? null, states === undefined || states.length === 0 ? null : states, pageSize + 1],
      );
      const page = found.slice(0, pageSize).map(parseSagaRow);
      return {
        sagas: page.map((row) => summary(row, progressOf(row))),
        next: found.length > pageSize ? page.at(-1)?.sequence : undefined,
      };
    },

    async show(sagaId, queries = database) {
      const row = await rows.find(sagaId, queries);
      if (row === undefined) throw notFound(sagaId);
      const acts = await queries.query(
        "SELECT acted_at, operator, act, step, reason FROM weft_saga_acts WHERE saga_id = $1 ORDER BY act_id",
        [sagaId],
      );
      const definition = definitionOf(row);
      const progress = progressOf(row);
      const entries = progress?.entries ?? new Map<string, Entry>();
      const names = definition?.nodes.flatMap((node) =>
        node.t === "parallel" ? node.steps.map((s) => s.name) : [node.name],
      ) ?? [...entries.keys()];
      const schemas = new Map(definition?.nodes.flatMap(stepsOf).map((step) => [step.name, step.result]));
      return {
        saga: summary(row, progress),
        inputJson: definition === undefined ? "" : json(definition.input, row.input),
        steps: names.map((name) => {
          const entry = entries.get(name);
          const schema = schemas.get(name);
          const known = schema !== undefined && entry?.result !== undefined;
          return { name, entry, resultJson: known ? json(schema, entry.result) : "" };
        }),
        acts: acts.map((act) => ({
          actTime: column.timestamp(act, "acted_at"),
          operator: column.text(act, "operator"),
          act: column.text(act, "act"),
          step: column.text(act, "step"),
          reason: column.text(act, "reason"),
        })),
      };
    },

    async counts() {
      const counts = await rows.counts();
      return counts.map((count) => ({ ...count, knownVersion: definitionOf(count) !== undefined }));
    },

    async retry(tx, act) {
      const { row, progress } = await held(tx, act.sagaId);
      await audit(tx, act, "retry", "");
      await goOn(tx, row, progress);
    },

    async skip(tx, act) {
      const { row, definition, progress } = await held(tx, act.sagaId);
      const node =
        definition.nodes.find((n) => n.name === act.step) ??
        definition.nodes.flatMap(stepsOf).find((s) => s.name === act.step);
      if (node === undefined || node.t === "parallel")
        throw unfit(act.sagaId, `it has no step ${JSON.stringify(act.step)}`);
      const entry = progress.entries.get(act.step);
      if (node.t === "lock") throw unfit(act.sagaId, "a lock cannot be skipped");
      const change =
        progress.phase === "running"
          ? forwardSkip(act, node.t === "step" ? node.result : undefined, entry)
          : backwardSkip(act, entry);
      await audit(tx, act, "skip", act.step);
      await goOn(tx, row, withEntry(progress, act.step, change));
    },

    async compensate(tx, act) {
      const [underWay] = await tx.query(
        `UPDATE weft_sagas SET cancel_reason = coalesce(cancel_reason, $2)
         WHERE saga_id = $1 AND state = 'running' AND owner IS NOT NULL AND NOT pivot_begun RETURNING 1 AS asked`,
        [act.sagaId, byOperator(act)],
      );
      if (underWay !== undefined) {
        await audit(tx, act, "compensate", "");
        return;
      }
      const { row, progress } = await held(tx, act.sagaId);
      if (progress.phase === "compensating") throw unfit(act.sagaId, "it goes back already: retry it");
      if (row.pivotBegun && !(act.force === true && row.state === "parked"))
        throw unfit(act.sagaId, "its pivot was begun: only a parked saga can be forced back from there");
      await audit(tx, act, "compensate", "");
      await goOn(tx, row, turnedBack(progress, cancelledFailure(byOperator(act))));
    },
  };
}

function forwardSkip(
  act: { readonly sagaId: string; readonly resultJson?: string },
  schema: DescMessage | undefined,
  entry: Entry | undefined,
): Partial<Entry> {
  if (entry === undefined || entry.state === "done") throw unfit(act.sagaId, "it is not at that step");
  const text = act.resultJson ?? "";
  if (schema === undefined) return { state: "done", uncertain: false, skipped: true, dueMs: 0 };
  if (text === "") throw unfit(act.sagaId, `later steps need the step's result: give a ${schema.typeName} as JSON`);
  return { state: "done", uncertain: false, skipped: true, dueMs: 0, result: parseResult(schema, text) };
}

function backwardSkip(act: { readonly sagaId: string }, entry: Entry | undefined): Partial<Entry> {
  if (entry === undefined || entry.state === "undone")
    throw unfit(act.sagaId, "there is nothing to compensate at that step");
  return { state: "undone", uncertain: false, skipped: true, dueMs: 0 };
}

function parseResult(schema: DescMessage, text: string): Uint8Array {
  try {
    return toBinary(schema, fromJsonString(schema, text));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConnectError(`result: is no ${schema.typeName}: ${why}`, Code.InvalidArgument);
  }
}

function progressOf(row: SagaRow): Progress | undefined {
  const phase: SagaPhase = phaseOf(row);
  try {
    return parseJournal(phase, row.journal);
  } catch {
    // A journal of a newer program: what the row says by itself is shown.
    return undefined;
  }
}

function json(schema: DescMessage, bytes: Uint8Array): string {
  try {
    return toJsonString(schema, fromBinary(schema, bytes));
  } catch {
    // Such as an Any whose type is not known here: a list must not fail for one saga.
    return toJsonString(schema, create(schema));
  }
}

function byOperator(act: OperatorAct): string {
  return `turned back by an operator: ${act.reason}`;
}

function notFound(sagaId: string): ConnectError {
  return new ConnectError(`saga ${JSON.stringify(sagaId)}: there is none`, Code.NotFound);
}

function unfit(sagaId: string, why: string): ConnectError {
  return new ConnectError(`saga ${JSON.stringify(sagaId)}: ${why}`, Code.FailedPrecondition);
}
