import { randomUUID } from "node:crypto";
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import type { Laptop, shopClients } from "./laptop.js";
import { podsOf } from "./pods.js";

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

/** A service's own door, for what only services and operators may ask; in the name of whom the gateway lets in. */
export async function doorOf({ client }: Laptop, name: string): Promise<Transport> {
  const [pod] = await podsOf(client, "shop", name);
  return createGrpcTransport({
    baseUrl: `http://${pod?.status?.podIP}:8080`,
    interceptors: [
      (next) => (request) => {
        request.header.set("weft-user", "demo");
        return next(request);
      },
    ],
  });
}
