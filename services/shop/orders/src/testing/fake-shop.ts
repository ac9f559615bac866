// Long, since five contracts stand here side by side: what a saga asks of them is read in one place.

import type { create, MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import {
  InventoryService,
  OutOfStockDetailSchema,
  type ReservationSchema,
  ReservationState,
  ReservationUndoneDetailSchema,
} from "@weft/contracts/shop/inventory/v1";
import {
  PaymentRefusedDetailSchema,
  type PaymentSchema,
  PaymentService,
  PaymentState,
  RefundState,
  RefusalReason,
} from "@weft/contracts/shop/payments/v1";
import {
  type LabelSchema,
  LabelState,
  ShippingRefusalReason,
  ShippingRefusedDetailSchema,
  ShippingService,
  ShippingSpeed,
} from "@weft/contracts/shop/shipping/v1";
import type { Participants } from "../sagas/participants.js";

/** What goes wrong with one call. */
export type Fault =
  /** It never arrives. */
  | { readonly t: "lost" }
  /** It is done, and the answer is lost. */
  | { readonly t: "answer-lost" }
  /** It is done when this resolves, whether anybody still waits or not. */
  | { readonly t: "late"; readonly until: Promise<void> };

type Init<T extends Parameters<typeof create>[0]> = MessageInitShape<T>;

interface Reservation {
  readonly reservationId: string;
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[];
  state: ReservationState;
}

interface Payment {
  readonly paymentId: string;
  readonly amount: bigint;
  state: PaymentState;
  captured: bigint;
  refunded: bigint;
}

interface Label {
  readonly labelId: string;
  state: LabelState;
}

/** The right answer to the question of a challenged card's bank. */
export const rightAnswer = "it is me";

/** Tokens of cards, by how their bank behaves. */
export const cards = {
  good: "card-good",
  declined: "card-declined",
  poor: "card-poor",
  challenged: "card-challenged",
  /** Its bank lets the money be held, and then not be taken. */
  lapsing: "card-lapsing",
} as const;

const declines: Readonly<Record<string, RefusalReason>> = {
  [cards.declined]: RefusalReason.CARD_DECLINED,
  [cards.poor]: RefusalReason.INSUFFICIENT_FUNDS,
};

/** All services that take part in an order, in memory, as their contracts promise: keys are remembered, undone ones refused for ever. */
export class FakeShop {
  readonly stock = new Map([
    ["tea", 1_000],
    ["rare", 1],
  ]);
  readonly reservations = new Map<string, Reservation | "forbidden">();
  readonly payments = new Map<string, Payment | "forbidden">();
  readonly refunds = new Map<string, bigint>();
  readonly labels = new Map<string, Label | "forbidden">();
  cart = { version: 0n, items: [] as { productId: string; quantity: number }[] };
  /** Every call that arrived, by method. */
  readonly calls: string[] = [];
  readonly #faults = new Map<string, Fault[]>();
  readonly participants: Participants;

  constructor() {
    const transport = createRouterTransport(({ service }) => {
      service(CartService, this.#cart());
      service(CatalogService, this.#catalog());
      service(InventoryService, this.#inventory());
      service(PaymentService, this.#payments());
      service(ShippingService, this.#shipping());
    });
    this.participants = {
      cart: createClient(CartService, transport),
      catalog: createClient(CatalogService, transport),
      inventory: createClient(InventoryService, transport),
      payments: createClient(PaymentService, transport),
      shipping: createClient(ShippingService, transport),
    };
  }

  /** Lets the next calls of a method go wrong, each by one fault. */
  break(method: string, ...faults: readonly Fault[]): void {
    this.#faults.set(method, [...(this.#faults.get(method) ?? []), ...faults]);
  }

  heal(): void {
    this.#faults.clear();
  }

  /** What was taken from cards and not given back. */
  get charged(): bigint {
    return sum(this.#allPayments().map((payment) => payment.captured - payment.refunded));
  }

  /** Payments whose money was ever taken. */
  get captures(): number {
    return this.#allPayments().filter((payment) => payment.captured > 0n).length;
  }

  /** How many payments hold money that is neither taken nor let go. */
  get holds(): number {
    return this.#allPayments().filter((payment) => payment.state === PaymentState.AUTHORIZED).length;
  }

  get held(): number {
    return this.#quantity(ReservationState.HELD);
  }

  get sold(): number {
    return this.#quantity(ReservationState.COMMITTED);
  }

  /** Labels that are good for sending something. */
  get openLabels(): number {
    return [...this.labels.values()].filter((label) => label !== "forbidden" && label.state === LabelState.CREATED)
      .length;
  }

  /** Hands all that has a label to the carrier. */
  ship(): void {
    for (const label of this.labels.values())
      if (label !== "forbidden" && label.state === LabelState.CREATED) label.state = LabelState.HANDED_OVER;
  }

  #allPayments(): Payment[] {
    return [...this.payments.values()].flatMap((payment) => (payment === "forbidden" ? [] : [payment]));
  }

  #quantity(state: ReservationState): number {
    let total = 0;
    for (const reservation of this.reservations.values())
      if (reservation !== "forbidden" && reservation.state === state)
        for (const line of reservation.lines) total += line.quantity;
    return total;
  }

  async #through<T>(method: string, effect: () => T): Promise<T> {
    this.calls.push(method);
    const fault = this.#faults.get(method)?.shift();
    switch (fault?.t) {
      case undefined:
        return effect();
      case "lost":
        throw new ConnectError("lost on the way", Code.Unavailable);
      case "answer-lost":
        effect();
        throw new ConnectError("lost on the way back", Code.Unavailable);
      case "late":
        await fault.until;
        return effect();
    }
  }

  #cart(): Pick<ServiceImpl<typeof CartService>, "getCart" | "clearCart"> {
    return {
      getCart: () => this.#through("getCart", () => ({ cart: { ...this.cart } })),
      clearCart: ({ expectedVersion }) =>
        this.#through("clearCart", () => {
          if (expectedVersion !== this.cart.version) throw new ConnectError("changed", Code.FailedPrecondition);
          this.cart = { version: this.cart.version + 1n, items: [] };
          return { cart: { ...this.cart } };
        }),
    };
  }

  #catalog(): Pick<ServiceImpl<typeof CatalogService>, "batchGetProducts"> {
    return {
      batchGetProducts: ({ productIds }) =>
        this.#through("batchGetProducts", () => ({
          products: productIds
            .filter((id) => id !== "unknown")
            .map((productId) => ({
              productId,
              name: `The ${productId}`,
              weightGrams: 250,
              prices: [{ minorUnits: 1_290n, currency: "EUR" }],
            })),
        })),
    };
  }

  #inventory(): Pick<
    ServiceImpl<typeof InventoryService>,
    "reserve" | "release" | "commit" | "restock" | "getReservation"
  > {
    const byId = (reservationId: string): Reservation => {
      for (const reservation of this.reservations.values())
        if (reservation !== "forbidden" && reservation.reservationId === reservationId) return reservation;
      throw new ConnectError("no such reservation", Code.NotFound);
    };
    const move = (reservation: Reservation, from: ReservationState, to: ReservationState): Reservation => {
      if (reservation.state !== to && reservation.state !== from)
        throw new ConnectError(`it is ${reservation.state}`, Code.FailedPrecondition);
      if (reservation.state === from && to !== ReservationState.COMMITTED) this.#add(reservation, 1);
      reservation.state = to;
      return reservation;
    };
    const toMessage = (reservation: Reservation): Init<typeof ReservationSchema> => ({
      reservationId: reservation.reservationId,
      state: reservation.state,
    });
    return {
      reserve: ({ idempotencyKey, lines }) =>
        this.#through("reserve", () => {
          const known = this.reservations.get(idempotencyKey);
          if (known === "forbidden" || known?.state === ReservationState.RELEASED)
            throw new ConnectError("undone", Code.FailedPrecondition, undefined, [
              { desc: ReservationUndoneDetailSchema, value: {} },
            ]);
          if (known !== undefined) return { reservation: toMessage(known) };
          const shortages = lines.flatMap(({ productId, quantity }) => {
            const available = this.stock.get(productId) ?? 0;
            return available < quantity ? [{ productId, requested: quantity, available }] : [];
          });
          if (shortages.length > 0)
            throw new ConnectError("out of stock", Code.FailedPrecondition, { secret: "header" }, [
              { desc: OutOfStockDetailSchema, value: { shortages } },
            ]);
          const reservation = {
            reservationId: crypto.randomUUID(),
            lines: lines.map(({ productId, quantity }) => ({ productId, quantity })),
            state: ReservationState.HELD,
          };
          this.#add(reservation, -1);
          this.reservations.set(idempotencyKey, reservation);
          return { reservation: toMessage(reservation) };
        }),
      release: ({ reserveKey }) =>
        this.#through("release", () => {
          const known = this.reservations.get(reserveKey);
          if (known === undefined || known === "forbidden") {
            this.reservations.set(reserveKey, "forbidden");
            return { reservation: { state: ReservationState.RELEASED } };
          }
          return { reservation: toMessage(move(known, ReservationState.HELD, ReservationState.RELEASED)) };
        }),
      commit: ({ reservationId }) =>
        this.#through("commit", () => ({
          reservation: toMessage(move(byId(reservationId), ReservationState.HELD, ReservationState.COMMITTED)),
        })),
      restock: ({ reservationId }) =>
        this.#through("restock", () => ({
          reservation: toMessage(move(byId(reservationId), ReservationState.COMMITTED, ReservationState.RESTOCKED)),
        })),
      getReservation: ({ reserveKey }) =>
        this.#through("getReservation", () => {
          const known = this.reservations.get(reserveKey);
          if (known === undefined) throw new ConnectError("no such reservation", Code.NotFound);
          return { reservation: known === "forbidden" ? { state: ReservationState.RELEASED } : toMessage(known) };
        }),
    };
  }

  #add(reservation: Reservation, sign: 1 | -1): void {
    for (const { productId, quantity } of reservation.lines)
      this.stock.set(productId, (this.stock.get(productId) ?? 0) + sign * quantity);
  }

  #payments(): Pick<
    ServiceImpl<typeof PaymentService>,
    "authorize" | "answerChallenge" | "capture" | "refund" | "getPayment" | "getRefund"
  > {
    const find = (name: { readonly paymentId: string; readonly authorizeKey: string }): Payment | "forbidden" => {
      const known =
        name.authorizeKey === ""
          ? this.#allPayments().find((payment) => payment.paymentId === name.paymentId)
          : this.payments.get(name.authorizeKey);
      if (known === undefined) throw new ConnectError("no such payment", Code.NotFound);
      return known;
    };
    const toMessage = ({ paymentId, state }: Payment): Init<typeof PaymentSchema> => ({
      paymentId,
      state,
      challengePrompt: state === PaymentState.CHALLENGE_REQUIRED ? "Who is it?" : "",
    });
    const challengeOf = ({ paymentId }: Payment): ConnectError =>
      refusedPayment(RefusalReason.CHALLENGE_REQUIRED, paymentId);
    return {
      authorize: ({ idempotencyKey, token, amount }) =>
        this.#through("authorize", () => {
          const known = this.payments.get(idempotencyKey);
          if (known === "forbidden" || known?.state === PaymentState.VOIDED) throw refusedPayment(RefusalReason.UNDONE);
          if (known?.state === PaymentState.CHALLENGE_REQUIRED) throw challengeOf(known);
          if (known?.state === PaymentState.DECLINED) throw refusedPayment(RefusalReason.CHALLENGE_FAILED);
          if (known !== undefined) return { payment: toMessage(known) };
          if (token === "card-of-another") throw new ConnectError("token does not exist", Code.NotFound);
          const decline = declines[token];
          if (decline !== undefined) throw refusedPayment(decline);
          const payment: Payment = {
            paymentId: `${token}/${crypto.randomUUID()}`,
            amount: amount?.minorUnits ?? 0n,
            state: token === cards.challenged ? PaymentState.CHALLENGE_REQUIRED : PaymentState.AUTHORIZED,
            captured: 0n,
            refunded: 0n,
          };
          this.payments.set(idempotencyKey, payment);
          if (payment.state === PaymentState.CHALLENGE_REQUIRED) throw challengeOf(payment);
          return { payment: toMessage(payment) };
        }),
      answerChallenge: (request) =>
        this.#through("answerChallenge", () => {
          const payment = find(request);
          if (payment === "forbidden" || payment.state === PaymentState.VOIDED)
            throw refusedPayment(RefusalReason.UNDONE);
          if (payment.state === PaymentState.CHALLENGE_REQUIRED)
            payment.state = request.answer === rightAnswer ? PaymentState.AUTHORIZED : PaymentState.DECLINED;
          if (payment.state === PaymentState.DECLINED) throw refusedPayment(RefusalReason.CHALLENGE_FAILED);
          return { payment: toMessage(payment) };
        }),
      capture: (request) =>
        this.#through("capture", () => {
          const payment = find(request);
          if (payment === "forbidden" || payment.state === PaymentState.VOIDED)
            throw refusedPayment(RefusalReason.UNDONE);
          if (payment.paymentId.startsWith(cards.lapsing)) throw refusedPayment(RefusalReason.NOT_AUTHORIZED);
          payment.state = PaymentState.CAPTURED;
          payment.captured = payment.amount;
          return { payment: toMessage(payment) };
        }),
      refund: (request) =>
        this.#through("refund", () => {
          const { idempotencyKey, authorizeKey, amount } = request;
          if (authorizeKey !== "" && !this.payments.has(authorizeKey)) this.payments.set(authorizeKey, "forbidden");
          const payment = find(request);
          if (payment === "forbidden") return { payment: { state: PaymentState.VOIDED } };
          if (payment.state !== PaymentState.CAPTURED) {
            payment.state = PaymentState.VOIDED;
            return { payment: toMessage(payment) };
          }
          if (!this.refunds.has(idempotencyKey)) {
            const left = payment.captured - payment.refunded;
            const units = amount?.minorUnits ?? left;
            if (units > left) throw refusedPayment(RefusalReason.TOO_MUCH);
            payment.refunded += units;
            this.refunds.set(idempotencyKey, units);
          }
          return { payment: toMessage(payment), refund: { refundId: idempotencyKey, state: RefundState.DONE } };
        }),
      getPayment: (request) =>
        this.#through("getPayment", () => {
          const payment = find(request);
          return { payment: payment === "forbidden" ? { state: PaymentState.VOIDED } : toMessage(payment) };
        }),
      getRefund: ({ refundKey }) =>
        this.#through("getRefund", () => {
          if (!this.refunds.has(refundKey)) throw new ConnectError("no such refund", Code.NotFound);
          return { refund: { refundId: refundKey, state: RefundState.DONE } };
        }),
    };
  }

  #shipping(): Pick<ServiceImpl<typeof ShippingService>, "getQuote" | "createLabel" | "cancelLabel" | "getLabel"> {
    const find = (name: { readonly labelId: string; readonly labelKey: string }): Label | "forbidden" => {
      for (const [key, label] of this.labels)
        if (key === name.labelKey || (label !== "forbidden" && label.labelId === name.labelId)) return label;
      throw new ConnectError("no such label", Code.NotFound);
    };
    const toMessage = ({ labelId, state }: Label): Init<typeof LabelSchema> => ({
      labelId,
      state,
      trackingCode: `T-${labelId.slice(0, 8)}`,
    });
    const price = { minorUnits: 430n, currency: "EUR" };
    return {
      getQuote: () => this.#through("getQuote", () => ({ quotes: [{ speed: ShippingSpeed.STANDARD, price }] })),
      createLabel: ({ idempotencyKey, address }) =>
        this.#through("createLabel", () => {
          const known = this.labels.get(idempotencyKey);
          if (known === "forbidden" || known?.state === LabelState.CANCELLED)
            throw refusedLabel(ShippingRefusalReason.CANCELLED);
          if (address?.country === "AQ") throw refusedLabel(ShippingRefusalReason.NO_SERVICE);
          const label = known ?? { labelId: crypto.randomUUID(), state: LabelState.CREATED };
          this.labels.set(idempotencyKey, label);
          return { label: toMessage(label) };
        }),
      cancelLabel: (request) =>
        this.#through("cancelLabel", () => {
          const { labelKey } = request;
          if (labelKey !== "" && !this.labels.has(labelKey)) this.labels.set(labelKey, "forbidden");
          const label = find(request);
          if (label === "forbidden") return { label: { state: LabelState.CANCELLED } };
          if (label.state === LabelState.HANDED_OVER) throw refusedLabel(ShippingRefusalReason.SHIPPED);
          label.state = LabelState.CANCELLED;
          return { label: toMessage(label) };
        }),
      getLabel: (request) =>
        this.#through("getLabel", () => {
          const label = find(request);
          return { label: label === "forbidden" ? { state: LabelState.CANCELLED } : toMessage(label) };
        }),
    };
  }
}

function refusedPayment(reason: RefusalReason, paymentId = ""): ConnectError {
  return new ConnectError(`refused: ${RefusalReason[reason]}`, Code.FailedPrecondition, undefined, [
    { desc: PaymentRefusedDetailSchema, value: { reason, paymentId } },
  ]);
}

function refusedLabel(reason: ShippingRefusalReason): ConnectError {
  return new ConnectError(`refused: ${ShippingRefusalReason[reason]}`, Code.FailedPrecondition, undefined, [
    { desc: ShippingRefusedDetailSchema, value: { reason } },
  ]);
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}
