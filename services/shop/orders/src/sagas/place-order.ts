import { Code, ConnectError } from "@connectrpc/connect";
import { ReservationState } from "@weft/contracts/shop/inventory/v1";
import {
  AuthorizedSchema,
  CartReadSchema,
  LabelledSchema,
  type PlaceOrderInput,
  PlaceOrderInputSchema,
  type Quote,
  QuoteSchema,
  ReservedSchema,
} from "@weft/contracts/shop/orders/saga/v1";
import { PaymentState } from "@weft/contracts/shop/payments/v1";
import { LabelState, ShippingSpeed } from "@weft/contracts/shop/shipping/v1";
import { type Answer, saga } from "@weft/saga";
import { priceItems, totalOf } from "../domain.js";
import { cameToNothing, confirmed, priced } from "../order-life.js";
import { locked } from "./locked.js";
import { patientPolicy, type SagaParts } from "./participants.js";
import { refusalOf, refusedStep } from "./refusal-of.js";

/**
 * Carries an order out. Its id is the order's.
 *
 *   open → cart → quote → price → reserve → authorize → label → CAPTURE → commit → confirm → clear-cart
 *    ▲                               │          │         │        │
 *    └─ refused or cancelled ◀─ release ◀── let go ◀── cancel ◀────┘ refused
 *
 * The stock is committed before the order is confirmed, so that a cancellation of a confirmed order finds it committed.
 */
export function definePlaceOrder(parts: SagaParts) {
  const { store, cart, catalog, inventory, payments, shipping } = parts;
  const policy = { ...patientPolicy, ...parts.policy };

  const quote = async (input: PlaceOrderInput, items: readonly Item[], signal: AbortSignal): Promise<QuoteInit> => {
    const { currency, delivery } = input;
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
    .step("cart", {
      result: CartReadSchema,
      policy,
      run: async ({ input, signal }) => {
        const { cart: choice, items } = input;
        if (choice === undefined) return { items };
        const { cart: found } = await cart.getCart({}, { signal });
        if (found === undefined || found.items.length === 0)
          throw refusedStep(Code.FailedPrecondition, { reason: "cart-empty", message: "the cart is empty" });
        if (choice.version !== 0n && choice.version !== found.version) {
          const message = `cart_version ${choice.version}: the cart has version ${found.version}`;
          throw refusedStep(Code.FailedPrecondition, { reason: "cart-changed", message });
        }
        return {
          items: found.items.map(({ productId, quantity }) => ({ productId, quantity })),
          version: found.version,
        };
      },
    })
    .step("quote", {
      result: QuoteSchema,
      policy,
      run: ({ input, results, signal }) => quote(input, results.cart.items, signal),
    })
    .local("price", {
      run: async (tx, { sagaId, results }) => {
        const order = await locked(store, tx, sagaId);
        const items = results.cart.items.map(({ productId, quantity }) => ({ productId, quantity }));
        await store.save(tx, priced(order, items, fromQuote(results.quote)));
      },
    })
    .step("reserve", {
      result: ReservedSchema,
      policy,
      run: async ({ key, results, signal }) => {
        const lines = results.cart.items.map(({ productId, quantity }) => ({ productId, quantity }));
        const { reservation } = await inventory.reserve({ idempotencyKey: key, lines }, { signal });
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
        const { payment } = await payments.authorize(request, { signal });
        return { paymentId: given(payment).paymentId };
      },
      ask: async ({ key, signal }) => {
        const reply = await found(payments.getPayment({ authorizeKey: key }, { signal }));
        if (reply === undefined) return absent;
        const { paymentId, state } = given(reply.payment);
        switch (state) {
          case PaymentState.AUTHORIZED:
            return { t: "found", result: { paymentId } };
          case PaymentState.VOIDED:
            return never;
          default:
            // Declined, challenged or not known there either: sent again, it says which.
            return absent;
        }
      },
      // A refund of everything undoes a payment whatever its state: one that is held is let go, and a key that was never used is forbidden.
      compensate: ({ key, stepKey, signal }) =>
        payments.refund({ idempotencyKey: key, authorizeKey: stepKey }, { signal }),
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
        const request = { idempotencyKey: key, expectedVersion: results.cart.version };
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

type QuoteInit = Pick<Quote, "shippingMinorUnits" | "totalMinorUnits" | "weightGrams"> & {
  readonly lines: (Item & { readonly name: string; readonly unitMinorUnits: bigint })[];
};

const absent: Answer<never> = { t: "absent" };
const never: Answer<never> = { t: "never" };

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
