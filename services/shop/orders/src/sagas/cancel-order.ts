import { Code, ConnectError } from "@connectrpc/connect";
import { CancelBegunSchema, CancelOrderInputSchema } from "@weft/contracts/shop/orders/saga/v1";
import { LabelState } from "@weft/contracts/shop/shipping/v1";
import { saga } from "@weft/saga";
import { cancelled, judgeCancel, notCancelled } from "../order-life.js";
import { locked } from "./locked.js";
import { patientPolicy, type SagaParts } from "./participants.js";

/**
 * Calls off an order that is paid, or about to be.
 *
 *   begin → CANCEL-LABEL → refund → restock → finish
 *     ▲          │
 *     └──────────┘ the carrier has it already: the order is as it was
 *
 * Whatever else decides about the order (its own saga, a refund, another cancellation) is waited for in `begin`.
 */
export function defineCancelOrder(parts: SagaParts) {
  const { store, inventory, payments, shipping } = parts;
  const policy = { ...patientPolicy, ...parts.policy };

  return saga("cancel-order", { version: 1, input: CancelOrderInputSchema })
    .local("begin", {
      result: CancelBegunSchema,
      policy: {
        ...policy,
        // For about half a year: an order that waits for an operator ends one day, and is cancelled then.
        attempts: 500_000,
        backoff: { initialMs: 50, maxMs: 30_000, multiplier: 1.5, jitter: 0.2 },
        classify: (error) => (error instanceof NotYet ? "transient" : undefined),
      },
      run: async (tx, { input }) => {
        const judgement = judgeCancel(await locked(store, tx, input.orderId));
        switch (judgement.t) {
          case "wait":
            throw new NotYet();
          case "done-already":
            return {};
          case "refused":
            throw new ConnectError(judgement.why, Code.FailedPrecondition);
          case "cancel": {
            await store.save(tx, judgement.order);
            const { paymentId, labelId, reservationId } = judgement.fulfilment;
            return { paymentId, labelId, reservationId };
          }
        }
      },
      compensate: async (tx, { input, result }) => {
        if (result === undefined || result.paymentId === "") return;
        await store.save(tx, notCancelled(await locked(store, tx, input.orderId)));
      },
    })
    .pivot("cancel-label", {
      // What the carrier has once got it keeps: a refusal stands.
      policy: { ...policy, refusalIsFinal: true },
      run: async ({ key, results, signal }) => {
        const { labelId } = results.begin;
        if (labelId !== "") await shipping.cancelLabel({ idempotencyKey: key, labelId }, { signal });
      },
      ask: async ({ results, signal }) => {
        const { labelId } = results.begin;
        if (labelId === "") return { t: "found", result: undefined };
        const { label } = await shipping.getLabel({ labelId }, { signal });
        return label?.state === LabelState.CANCELLED ? { t: "found", result: undefined } : { t: "absent" };
      },
    })
    .step("refund", {
      policy,
      run: async ({ key, results, signal }) => {
        const { paymentId } = results.begin;
        if (paymentId !== "") await payments.refund({ idempotencyKey: key, paymentId }, { signal });
      },
    })
    .step("restock", {
      policy,
      run: async ({ key, results, signal }) => {
        const { reservationId } = results.begin;
        if (reservationId !== "") await inventory.restock({ idempotencyKey: key, reservationId }, { signal });
      },
    })
    .local("finish", {
      run: async (tx, { input, results }) => {
        if (results.begin.paymentId === "") return;
        await store.save(tx, cancelled(await locked(store, tx, input.orderId)));
      },
    });
}

/** Something else decides about the order first. */
class NotYet extends Error {
  override readonly name = "NotYet";
  constructor() {
    super("something else decides about the order first");
  }
}
