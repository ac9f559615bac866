import { randomUUID } from "node:crypto";
import type { shopClients } from "./laptop.js";

type Shop = ReturnType<typeof shopClients>;

/** The edges of the declared ones that placing an order uses. */
export const orderEdges = [
  "gateway→orders",
  "orders→catalog",
  "orders→inventory",
  "orders→payments",
  "orders→shipping",
];

/** Where test orders go. */
export const delivery = {
  address: { recipient: "Ann Example", street: "Lane 1", city: "Berlin", postalCode: "10115", country: "DE" },
};

/** A token of a published test card that behaves so. */
export async function tokenOf(shop: Shop, behaviour = "approve"): Promise<string> {
  const { cards } = await shop.payments.listTestCards({});
  const card = cards.find((one) => one.behaviour === behaviour);
  if (card === undefined) throw new Error(`no test card behaves as ${behaviour}`);
  const { token } = await shop.payments.tokenizeCard({ idempotencyKey: randomUUID(), cardNumber: card.cardNumber });
  return token;
}

/** A request for one product, with a card that approves unless another is given. */
export async function orderOf(
  shop: Shop,
  wish: {
    readonly productId: string;
    readonly quantity?: number;
    readonly idempotencyKey?: string;
    readonly paymentToken?: string;
  },
) {
  const { productId, quantity = 1, idempotencyKey = randomUUID(), paymentToken } = wish;
  return {
    idempotencyKey,
    items: [{ productId, quantity }],
    currency: "EUR",
    paymentToken: paymentToken ?? (await tokenOf(shop)),
    delivery,
  };
}
