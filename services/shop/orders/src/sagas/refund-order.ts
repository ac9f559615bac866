import { Code, ConnectError } from "@connectrpc/connect";
import { RefundOrderInputSchema } from "@weft/contracts/shop/orders/saga/v1";
import { RefundState } from "@weft/contracts/shop/payments/v1";
import { saga } from "@weft/saga";
import { refundDone, refundDropped } from "../order-life.js";
import { locked } from "./locked.js";
import { patientPolicy, type SagaParts } from "./participants.js";

/**
 * Gives back an amount that was set aside in the order when this saga was recorded.
 *
 *   open → REFUND → record
 *     ▲      │
 *     └──────┘ refused: the amount is set aside no more
 */
export function defineRefundOrder(parts: SagaParts) {
  const { store, payments } = parts;
  const policy = { ...patientPolicy, ...parts.policy };

  return saga("refund-order", { version: 1, input: RefundOrderInputSchema })
    .local("open", {
      run: async () => {},
      compensate: async (tx, { input }) => {
        await store.save(tx, refundDropped(await locked(store, tx, input.orderId), input.minorUnits));
      },
    })
    .pivot("refund", {
      policy,
      run: async ({ key, input, signal }) => {
        const { paymentId, minorUnits, currency } = input;
        await payments.refund({ idempotencyKey: key, paymentId, amount: { minorUnits, currency } }, { signal });
      },
      ask: async ({ key, signal }) => {
        try {
          const { refund } = await payments.getRefund({ refundKey: key }, { signal });
          // One that is pending there is sent again, which has the provider asked.
          return refund?.state === RefundState.DONE ? { t: "found", result: undefined } : { t: "absent" };
        } catch (error) {
          if (ConnectError.from(error).code === Code.NotFound) return { t: "absent" };
          throw error;
        }
      },
    })
    .local("record", {
      run: async (tx, { input }) => {
        await store.save(tx, refundDone(await locked(store, tx, input.orderId), input.minorUnits));
      },
    });
}
