import { Code, ConnectError } from "@connectrpc/connect";
import { PaymentState } from "@weft/contracts/shop/payments/v1";
import type { Clock } from "@weft/foundation";
import type { StepPolicy } from "@weft/saga";
import { challengeAnswered, challenged } from "../order-life.js";
import type { OrderStore } from "../store.js";
import type { Participants } from "./participants.js";
import { refusedStep } from "./refusal-of.js";

/** Looks again and again, until the desk ends it by the clock: the wait is in the database, and any replica goes on with it. */
export const challengePolicy = {
  attempts: 1_000_000,
  backoff: { initialMs: 100, maxMs: 2_000, multiplier: 1.5, jitter: 0.2 },
  classify: (error) => (error instanceof StillAwaited ? "transient" : undefined),
} as const satisfies StepPolicy;

/** Where an order waits for its owner to answer the card's bank. */
export interface ChallengeDesk {
  /**
   * Resolves when the payment is authorized. Rejects with a refusal when it is declined or its time is over, and with an error that lets the
   * step look again as long as the answer is awaited. What the answer was is known to payments alone.
   */
  settled(wait: { readonly orderId: string; readonly paymentId: string; readonly signal: AbortSignal }): Promise<void>;
}

export function createChallengeDesk(parts: {
  readonly store: OrderStore;
  readonly payments: Pick<Participants["payments"], "getPayment">;
  readonly challengeMs: number;
  readonly clock: Clock;
}): ChallengeDesk {
  const { store, payments, challengeMs, clock } = parts;

  return {
    async settled({ orderId, paymentId, signal }) {
      const { payment } = await payments.getPayment({ paymentId }, { signal }).catch(async (error: unknown) => {
        await endIfExpired(orderId, signal);
        throw error;
      });
      switch (payment?.state) {
        case PaymentState.AUTHORIZED:
          await store.change(orderId, challengeAnswered, { signal });
          return;
        case PaymentState.DECLINED: {
          const message = "the answer to the bank's question was wrong";
          throw refusedStep(Code.FailedPrecondition, { reason: "card-declined", message });
        }
        case PaymentState.CHALLENGE_REQUIRED: {
          const challenge = {
            prompt: payment.challengePrompt,
            expireTime: new Date(clock.wallMs() + challengeMs),
          };
          await store.change(orderId, (order) => challenged(order, challenge), { signal });
          await endIfExpired(orderId, signal);
          throw new StillAwaited();
        }
        default:
          throw new ConnectError("the payment came to nothing while its challenge was open", Code.FailedPrecondition);
      }
    },
  };

  /** Nothing is held as long as nobody answers, and turning back undoes an answer that comes late: so the order may end whatever payments says. */
  async function endIfExpired(orderId: string, signal: AbortSignal): Promise<void> {
    const order = await store.change(orderId, () => undefined, { signal });
    if (order?.challenge === undefined || order.challenge.expireTime.getTime() > clock.wallMs()) return;
    const message = "the bank's question was not answered in time";
    throw refusedStep(Code.FailedPrecondition, { reason: "challenge-unanswered", message });
  }
}

/** The cardholder has not answered yet. */
class StillAwaited extends Error {
  override readonly name = "StillAwaited";
  constructor() {
    super("the answer to the bank's question is awaited");
  }
}
