import { create, type DescMessage, equals, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { context } from "@opentelemetry/api";
import { codecOf } from "@weft/codec";
import { currentCallScope } from "@weft/mesh";
import type { Queries } from "@weft/store";
import type { InputOf, ResultsOf, SagaDefinition } from "../definition/saga.js";
import { phaseOf, type SagaRow } from "../rows/saga-row.js";
import type { NewSaga, SagaRows } from "../rows/saga-rows.js";
import { encodeJournal, parseJournal } from "../state/journal.js";
import { noProgress, type Progress } from "../state/progress.js";
import { keepTrace } from "../telemetry/trace-context.js";
import { createResults, decodeMessage } from "./messages.js";
import { planFrom } from "./plan-write.js";
import type { SagaRequest, SagaView } from "./sagas.js";

const longestId = 64;

/** A saga as it is recorded; for the worker that begins it at once, with the intent of its first step. */
export function newSaga<D extends SagaDefinition>(
  definition: D,
  request: SagaRequest<D>,
  options: { readonly owner: string | undefined; readonly nowMs: number },
): { readonly saga: NewSaga; readonly progress: Progress; readonly input: unknown } {
  const { id } = request;
  if (id.length === 0 || id.length > longestId)
    throw new ConnectError(`saga id ${JSON.stringify(id)}: must be 1 to ${longestId} characters`, Code.InvalidArgument);
  const input = create<DescMessage>(definition.input, fromRequest(request.input));
  const plan = planFrom(definition, noProgress, {
    nowMs: options.nowMs,
    pivotBegun: false,
    looked: () => ({ sagaId: id, input, results: {} }),
  });
  const intended = options.owner !== undefined && plan.work.t === "call";
  const progress = intended ? plan.progress : noProgress;
  return {
    input,
    progress,
    saga: {
      sagaId: id,
      name: definition.name,
      version: definition.version,
      step: plan.step,
      pivotBegun: intended && plan.pivotBegun,
      input: codecOf(definition.input).encode(input),
      journal: encodeJournal(progress),
      principal: request.principal ?? currentCallScope()?.user,
      owner: options.owner,
      ...keepTrace(context.active()),
    },
  };
}

/** ALREADY_EXISTS when the id belongs to a saga that was asked for otherwise. */
export async function checkSame(
  rows: SagaRows,
  definition: SagaDefinition,
  saga: NewSaga,
  queries: Queries,
): Promise<void> {
  const row = await rows.find(saga.sagaId, queries);
  const same =
    row !== undefined &&
    row.name === saga.name &&
    row.principal === saga.principal &&
    (row.version !== saga.version ||
      equals(
        definition.input,
        decodeMessage(definition.input, row.input),
        decodeMessage(definition.input, saga.input),
      ));
  if (!same)
    throw new ConnectError(`saga ${JSON.stringify(saga.sagaId)}: the id is taken by another one`, Code.AlreadyExists);
}

/** A row as its callers see it, by the definition that it was started with. */
export function viewOf<D extends SagaDefinition>(row: SagaRow, own: SagaDefinition): SagaView<D> {
  const progress = parseJournal(phaseOf(row), row.journal);
  return {
    sagaId: row.sagaId,
    version: row.version,
    state: row.state,
    step: row.step,
    pivotBegun: row.pivotBegun,
    input: fromInput<D>(decodeMessage(own.input, row.input)),
    results: fromResults<Partial<ResultsOf<D>>>(createResults(own).all(progress)),
    failure: progress.failure,
    parkedReason: row.parkedReason,
    principal: row.principal,
    createTime: row.createdAt,
    updateTime: row.updatedAt,
  };
}

// Definitions carry the types of their messages; rows carry bytes.

function fromInput<D extends SagaDefinition>(message: MessageShape<DescMessage>): InputOf<D> {
  return message as InputOf<D>;
}

function fromResults<R>(results: unknown): R {
  return results as R;
}

function fromRequest(input: unknown): MessageInitShape<DescMessage> {
  return input as MessageInitShape<DescMessage>;
}
