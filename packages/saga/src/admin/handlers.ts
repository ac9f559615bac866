import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { type Saga, SagaAdminService, SagaSchema, SagaState as SagaStateMessage } from "@weft/contracts/weft/saga/v1";
import type { Idempotency } from "@weft/store";
import type { SagaState } from "../state/saga-state.js";
import type { SagaAdmin, SagaSummary } from "./saga-admin.js";

/** What the handlers need of a call: who makes it. */
export interface AdminContext extends HandlerContext {
  readonly user: string;
}

type WithUser<H> = H extends (request: infer Request, context: HandlerContext) => infer Reply
  ? (request: Request, context: AdminContext) => Reply
  : never;

/** The handlers of `weft.saga.v1.SagaAdminService`: a `ServiceImpl` whose context has the user. */
export type SagaAdminHandlers = {
  readonly [Name in keyof ServiceImpl<typeof SagaAdminService>]: WithUser<ServiceImpl<typeof SagaAdminService>[Name]>;
};

const states: Readonly<Record<SagaState, SagaStateMessage>> = {
  running: SagaStateMessage.RUNNING,
  compensating: SagaStateMessage.COMPENSATING,
  completed: SagaStateMessage.COMPLETED,
  compensated: SagaStateMessage.COMPENSATED,
  parked: SagaStateMessage.PARKED,
};

/** Serves the operator's hand over RPC: `router.service(SagaAdminService, createSagaAdminHandlers({ admin, idempotency }))`. */
export function createSagaAdminHandlers(options: {
  readonly admin: SagaAdmin;
  readonly idempotency: Idempotency;
}): SagaAdminHandlers {
  const { admin, idempotency } = options;
  return {
    async listSagas(request) {
      const { sagas, next } = await admin.list({
        pageSize: parsePageSize(request.pageSize),
        states: request.states.map(parseState),
        ...(request.name === "" ? {} : { name: request.name }),
        ...(request.pageToken === "" ? {} : { before: parseToken(request.pageToken) }),
      });
      return { sagas: sagas.map(toSaga), nextPageToken: next === undefined ? "" : String(next) };
    },

    async getSaga(request) {
      const detail = await admin.show(request.sagaId);
      return {
        saga: toSaga(detail.saga),
        inputJson: detail.inputJson,
        steps: detail.steps.map(({ name, entry, resultJson }) => ({
          name,
          state: entry?.state ?? "pending",
          uncertain: entry?.uncertain ?? false,
          attempts: entry?.attempts ?? 0,
          undoAttempts: entry?.undoAttempts ?? 0,
          resultJson,
          error: entry?.error?.message ?? "",
          skipped: entry?.skipped ?? false,
        })),
        acts: detail.acts.map((act) => ({ ...act, actTime: timestampFromDate(act.actTime) })),
      };
    },

    async countSagas() {
      const counts = await admin.counts();
      return {
        counts: counts.map(({ state, count, ...rest }) => ({ ...rest, state: states[state], count: BigInt(count) })),
      };
    },

    retrySaga: (request, context) =>
      idempotency.run({ method: SagaAdminService.method.retrySaga, principal: context.user, request }, async (tx) => {
        await admin.retry(tx, { sagaId: request.sagaId, operator: context.user, reason: request.reason });
        const { saga } = await admin.show(request.sagaId, tx);
        return create(SagaAdminService.method.retrySaga.output, { saga: toSaga(saga) });
      }),

    skipStep: (request, context) =>
      idempotency.run({ method: SagaAdminService.method.skipStep, principal: context.user, request }, async (tx) => {
        const { sagaId, step, reason, resultJson } = request;
        await admin.skip(tx, { sagaId, step, reason, resultJson, operator: context.user });
        const { saga } = await admin.show(sagaId, tx);
        return create(SagaAdminService.method.skipStep.output, { saga: toSaga(saga) });
      }),

    compensateSaga: (request, context) =>
      idempotency.run(
        { method: SagaAdminService.method.compensateSaga, principal: context.user, request },
        async (tx) => {
          const { sagaId, reason, force } = request;
          await admin.compensate(tx, { sagaId, reason, force, operator: context.user });
          const { saga } = await admin.show(sagaId, tx);
          return create(SagaAdminService.method.compensateSaga.output, { saga: toSaga(saga) });
        },
      ),
  };
}

function toSaga(summary: SagaSummary): Saga {
  const { createTime, updateTime, dueTime, state, ...rest } = summary;
  return create(SagaSchema, {
    ...rest,
    state: states[state],
    createTime: timestampFromDate(createTime),
    updateTime: timestampFromDate(updateTime),
    ...(dueTime === undefined ? {} : { dueTime: timestampFromDate(dueTime) }),
  });
}

function parsePageSize(size: number): number {
  if (size === 0) return 50;
  if (size < 1 || size > 500) throw new ConnectError(`page_size ${size}: must be 1 to 500`, Code.InvalidArgument);
  return size;
}

function parseToken(token: string): bigint {
  if (!/^\d{1,18}$/.test(token))
    throw new ConnectError(`page_token ${JSON.stringify(token)}: was not given by this method`, Code.InvalidArgument);
  return BigInt(token);
}

function parseState(state: SagaStateMessage): SagaState {
  for (const name of ["running", "compensating", "completed", "compensated", "parked"] as const)
    if (states[name] === state) return name;
  throw new ConnectError(`states: ${state} is none`, Code.InvalidArgument);
}
