import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { type Client, ConnectError, createClient, createContextKey, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { ShippingService } from "@weft/contracts/shop/shipping/v1";
import { type Clock, systemClock } from "@weft/foundation";
import { endingOf, type Ledger } from "./ledger.js";

/** The shop's public API, as an app calls it. */
export interface ShopClient extends Disposable {
  readonly catalog: Client<typeof CatalogService>;
  readonly inventory: Client<typeof InventoryService>;
  readonly cart: Client<typeof CartService>;
  readonly payments: Client<typeof PaymentService>;
  readonly shipping: Client<typeof ShippingService>;
  readonly orders: Client<typeof OrderService>;
}

/** When the call was due; latencies count from then, so that a generator that comes late does not hide a shop that is slow. */
export const dueKey = createContextKey<number | undefined>(undefined, { description: "when the call was due" });

/** Connections that idle are closed before a server does it (Node's after 5 s), which could cross with a call. */
const idleMs = 2_500;

/** Calls the shop through its gateway by the Connect protocol over HTTP/1.1, as browsers do, and enters each call in the ledger. */
export function createShopClient(options: {
  readonly gatewayUrl: string;
  readonly ledger: Ledger;
  readonly clock?: Clock;
}): ShopClient {
  const { gatewayUrl, ledger, clock = systemClock } = options;
  const Agent = gatewayUrl.startsWith("https:") ? HttpsAgent : HttpAgent;
  const agent = new Agent({ keepAlive: true, timeout: idleMs });
  const transport = createConnectTransport({
    baseUrl: gatewayUrl,
    httpVersion: "1.1",
    useBinaryFormat: false,
    nodeOptions: { agent },
    interceptors: [entering(ledger, clock)],
  });
  return {
    catalog: createClient(CatalogService, transport),
    inventory: createClient(InventoryService, transport),
    cart: createClient(CartService, transport),
    payments: createClient(PaymentService, transport),
    shipping: createClient(ShippingService, transport),
    orders: createClient(OrderService, transport),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/**
 * Enters each call with its latency: of a stream, until its first message or its end; when it fails later, that too.
 * A call that its own maker gave up is not entered.
 */
function entering(ledger: Ledger, clock: Clock): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.name}/${request.method.name}`;
    const dueMs = request.contextValues.get(dueKey) ?? clock.nowMs();
    const enterError = (thrown: unknown): never => {
      const { signal } = request;
      const late = signal.aborted && signal.reason instanceof ConnectError ? signal.reason : undefined;
      const error = late ?? ConnectError.from(thrown);
      if (late !== undefined || !signal.aborted) ledger.call(method, clock.nowMs() - dueMs, endingOf(method, error));
      throw error;
    };
    const answer = await next(request).catch(enterError);
    if (!answer.stream) {
      ledger.call(method, clock.nowMs() - dueMs, { t: "ok" });
      return answer;
    }
    const begin = (): void => ledger.call(method, clock.nowMs() - dueMs, { t: "ok" });
    return { ...answer, message: watched(answer.message, begin, enterError) };
  };
}

/** Hands messages on, and tells of the first one (or of an end without any) and of an error. */
async function* watched<T>(
  messages: AsyncIterable<T>,
  begin: () => void,
  fail: (error: unknown) => never,
): AsyncIterable<T> {
  let begun = false;
  try {
    for await (const message of messages) {
      if (!begun) begin();
      begun = true;
      yield message;
    }
  } catch (error) {
    fail(error);
  }
  if (!begun) begin();
}
