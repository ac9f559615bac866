import { Code, ConnectError } from "@connectrpc/connect";
import { ReservationState } from "@weft/contracts/shop/inventory/v1";
import {
  AuthorizedSchema,
  LabelledSchema,
  type PlaceOrderInput,
  PlaceOrderInputSchema,
  type Quote,
  QuoteSchema,
  ReservedSchema,
} from "@weft/contracts/shop/orders/saga/v1";
import { PaymentRefusedDetailSchema, PaymentState, RefusalReason } from "@weft/contracts/shop/payments/v1";
import { LabelState, ShippingSpeed } from "@weft/contracts/shop/shipping/v1";
import { systemClock } from "@weft/foundation";
import { type Answer, saga } from "@weft/saga";
import { priceItems, totalOf } from "../domain.js";
import { cameToNothing, confirmed, priced } from "../order-life.js";
import { challengePolicy, createChallengeDesk } from "./challenge.js";
import { locked } from "./locked.js";
import { patientPolicy, type SagaParts } from "./participants.js";
import { refusalOf, refusedStep } from "./refusal-of.js";

/**
 * Carries an order out. Its id is the order's.
 *
 *   open → quote → price → reserve → authorize → challenge → label → CAPTURE → commit → confirm → clear-cart
 *    ▲                        │          │           │          │        │
 *    └─ refused or cancelled ◀─ release ◀── let go ◀─┴─ cancel ◀┴────────┘ refused
 *
 * `quote` reads the cart, the prices and the ways to send it. `challenge` waits for the cardholder, where the card's bank wants to hear from them.
 * The stock is committed before the order is confirmed, so that a cancellation of a confirmed order finds it committed.
 */
export function definePlaceOrder(parts: SagaParts) {
  const { store, cart, catalog, inventory, payments, shipping } = parts;
  const policy = { ...patientPolicy, ...parts.policy };
  const { challengeMs = 600_000, clock = systemClock } = parts;
  const challenges = createChallengeDesk({ store, payments, challengeMs, clock });

  /** What is bought: what was asked for, or what is in the cart. */
  const pick = async ({ cart: choice, items }: PlaceOrderInput, signal: AbortSignal): Promise<Picked> => {
    if (choice === undefined) return { items, version: 0n };
    const { cart: found } = await cart.getCart({}, { signal });
    if (found === undefined || found.items.length === 0)
      throw refusedStep(Code.FailedPrecondition, { reason: "cart-empty", message: "the cart is empty" });
    if (choice.version !== 0n && choice.version !== found.version) {
      const message = `cart_version ${choice.version}: the cart has version ${found.version}`;
      throw refusedStep(Code.FailedPrecondition, { reason: "cart-changed", message });
    }
    return found;
  };

  const quote = async (input: PlaceOrderInput, signal: AbortSignal): Promise<QuoteInit> => {
    const { currency, delivery } = input;
    const { items, version: cartVersion } = await pick(input, signal);
    const { products } = await catalog.batchGetProducts(
      { productIds: items.map((item) => item.productId) },
      { signal },
    );
    const lines = priceItems(items, currency, products);
    if (!lines.ok)
      throw input.cart === undefined
        ? refusedStep(Code.InvalidArgument, { reason: "invalid", message: lines.error })
        : refusedStep(Code.FailedPrecondition, { reason: "cart-changed", message: lines.error });
    const { weightGrams } = lines.value;
    const country = delivery?.address?.country ?? "";
    const { quotes } = await shipping.getQuote({ country, weightGrams, currency }, { signal });
    const speed = delivery?.speed === ShippingSpeed.EXPRESS ? ShippingSpeed.EXPRESS : ShippingSpeed.STANDARD;
    const way = quotes.find((one) => one.speed === speed);
    if (way?.price === undefined) {
      const message = `delivery.speed: none of the ways to send it to "${country}" is as fast`;
      throw refusedStep(Code.FailedPrecondition, { reason: "not-deliverable", message });
    }
    const shippingMinorUnits = way.price.minorUnits;
    return {
      lines: lines.value.lines.map(({ unitPrice, ...line }) => ({ ...line, unitMinorUnits: unitPrice })),
      shippingMinorUnits,
      totalMinorUnits: totalOf({ lines: lines.value.lines, shipping: shippingMinorUnits }),
      weightGrams,
      cartVersion,
    };
  };

  return saga("place-order", { version: 1, input: PlaceOrderInputSchema })
    .local("open", {
      // The order is recorded together with the saga; what is left for this step is to say how it ended, after all else is undone.
      run: async () => {},
      compensate: async (tx, call) => {
        const order = await locked(store, tx, call.sagaId);
        await store.save(tx, cameToNothing(order, refusalOf(call.failure)));
      },
    })
    .step("quote", {
      result: QuoteSchema,
      policy,
      run: ({ input, signal }) => quote(input, signal),
    })
    .local("price", {
      run: async (tx, { sagaId, results }) => {
        const order = await locked(store, tx, sagaId);
        const items = itemsOf(results.quote);
        await store.save(tx, priced(order, items, fromQuote(results.quote)));
      },
    })
    .step("reserve", {
      result: ReservedSchema,
      policy,
      run: async ({ key, results, signal }) => {
        const lines = itemsOf(results.quote);
        const { reservation } = await inventory.reserve({ idempotencyKey: key, lines: [...lines] }, { signal });
        return { reservationId: given(reservation).reservationId };
      },
      ask: async ({ key, signal }) => {
        const reservation = await found(inventory.getReservation({ reserveKey: key }, { signal }));
        if (reservation === undefined) return absent;
        const { reservationId, state } = given(reservation.reservation);
        return state === ReservationState.RELEASED ? never : { t: "found", result: { reservationId } };
      },
      compensate: ({ key, stepKey, signal }) =>
        inventory.release({ idempotencyKey: key, reserveKey: stepKey }, { signal }),
    })
    .step("authorize", {
      result: AuthorizedSchema,
      policy,
      run: async ({ key, sagaId, input, results, signal }) => {
        const amount = { minorUnits: results.quote.totalMinorUnits, currency: input.currency };
        const request = { idempotencyKey: key, token: input.paymentToken, amount, reference: sagaId };
        try {
          const { payment } = await payments.authorize(request, { signal });
          return { paymentId: given(payment).paymentId };
        } catch (error) {
          const [detail] = ConnectError.from(error).findDetails(PaymentRefusedDetailSchema);
          if (detail?.reason !== RefusalReason.CHALLENGE_REQUIRED) throw error;
          // Nothing is held so far, and the payment stands: to be undone if the order comes to nothing.
          return { paymentId: detail.paymentId, challenged: true };
        }
      },
      ask: async ({ key, signal }) => {
        const reply = await found(payments.getPayment({ authorizeKey: key }, { signal }));
        if (reply === undefined) return absent;
        const { paymentId, state } = given(reply.payment);
        switch (state) {
          case PaymentState.AUTHORIZED:
            return { t: "found", result: { paymentId } };
          case PaymentState.CHALLENGE_REQUIRED:
            return { t: "found", result: { paymentId, challenged: true } };
          case PaymentState.VOIDED:
            return never;
          default:
            // Declined or not known there either: sent again, it says which.
            return absent;
        }
      },
      // A refund of everything undoes a payment whatever its state: one that is held is let go, and a key that was never used is forbidden.
      compensate: ({ key, stepKey, signal }) =>
        payments.refund({ idempotencyKey: key, authorizeKey: stepKey }, { signal }),
    })
    .step("challenge", {
      policy: { ...policy, ...challengePolicy },
      run: async ({ sagaId, results, signal }) => {
        const { paymentId, challenged } = results.authorize;
        if (challenged) await challenges.settled({ orderId: sagaId, paymentId, signal });
      },
    })
    .step("label", {
      result: LabelledSchema,
      policy,
      run: async ({ key, sagaId, input, results, signal }) => {
        const { delivery, currency } = input;
        const { label } = await shipping.createLabel(
          {
            idempotencyKey: key,
            ...(delivery?.address === undefined ? {} : { address: delivery.address }),
            speed: delivery?.speed ?? ShippingSpeed.STANDARD,
            weightGrams: results.quote.weightGrams,
            currency,
            reference: sagaId,
          },
          { signal },
        );
        const { labelId, trackingCode } = given(label);
        return { labelId, trackingCode };
      },
      ask: async ({ key, signal }) => {
        const reply = await found(shipping.getLabel({ labelKey: key }, { signal }));
        if (reply === undefined) return absent;
        const { labelId, trackingCode, state } = given(reply.label);
        return state === LabelState.CANCELLED ? never : { t: "found", result: { labelId, trackingCode } };
      },
      compensate: ({ key, stepKey, signal }) =>
        shipping.cancelLabel({ idempotencyKey: key, labelKey: stepKey }, { signal }),
    })
    .pivot("capture", {
      // A payment that cannot be captured can never be: it was voided, or its authorization lapsed.
      policy: { ...policy, refusalIsFinal: true },
      run: async ({ key, results, signal }) => {
        await payments.capture({ idempotencyKey: key, paymentId: results.authorize.paymentId }, { signal });
      },
      ask: async ({ results, signal }) => {
        const { payment } = await payments.getPayment({ paymentId: results.authorize.paymentId }, { signal });
        switch (given(payment).state) {
          case PaymentState.CAPTURED:
            return { t: "found", result: undefined };
          case PaymentState.VOIDED:
            return never;
          default:
            return absent;
        }
      },
    })
    .step("commit", {
      policy,
      run: ({ key, results, signal }) =>
        inventory.commit({ idempotencyKey: key, reservationId: results.reserve.reservationId }, { signal }),
    })
    .local("confirm", {
      run: async (tx, { sagaId, results }) => {
        const order = await locked(store, tx, sagaId);
        const { reservationId } = results.reserve;
        const { paymentId } = results.authorize;
        const { labelId, trackingCode } = results.label;
        await store.save(tx, confirmed(order, { reservationId, paymentId, labelId, trackingCode }));
      },
    })
    .step("clear-cart", {
      policy,
      run: async ({ key, input, results, signal }) => {
        if (input.cart === undefined) return;
        const request = { idempotencyKey: key, expectedVersion: results.quote.cartVersion };
        await cart.clearCart(request, { signal }).catch((error: unknown) => {
          // Somebody goes on shopping: what is in the cart now is theirs.
          if (ConnectError.from(error).code !== Code.FailedPrecondition) throw error;
        });
      },
    });
}

interface Item {
  readonly productId: string;
  readonly quantity: number;
}

interface Picked {
  readonly items: readonly Item[];
  /** Of the cart; 0 without one. */
  readonly version: bigint;
}

type QuoteInit = Pick<Quote, "shippingMinorUnits" | "totalMinorUnits" | "weightGrams" | "cartVersion"> & {
  readonly lines: (Item & { readonly name: string; readonly unitMinorUnits: bigint })[];
};

const absent: Answer<never> = { t: "absent" };
const never: Answer<never> = { t: "never" };

function itemsOf(quote: Quote): readonly Item[] {
  return quote.lines.map(({ productId, quantity }) => ({ productId, quantity }));
}

function fromQuote(quote: Quote) {
  return {
    lines: quote.lines.map(({ productId, name, quantity, unitMinorUnits }) => ({
      productId,
      name,
      quantity,
      unitPrice: unitMinorUnits,
    })),
    shipping: quote.shippingMinorUnits,
  };
}

/** What a look-up found; nothing when there is none. */
async function found<T>(lookUp: Promise<T>): Promise<T | undefined> {
  try {
    return await lookUp;
  } catch (error) {
    if (ConnectError.from(error).code === Code.NotFound) return undefined;
    throw error;
  }
}

/** What a reply must hold by its contract. */
function given<T>(part: T | undefined): T {
  if (part === undefined) throw new ConnectError("the reply lacks what its contract promises", Code.Internal);
  return part;
}
