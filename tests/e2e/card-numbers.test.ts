import { randomUUID } from "node:crypto";
import {
  create,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
} from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Health } from "@weft/contracts/grpc/health/v1";
import { CartService } from "@weft/contracts/shop/cart/v1";
import { CatalogService } from "@weft/contracts/shop/catalog/v1";
import { InventoryService } from "@weft/contracts/shop/inventory/v1";
import { OrderService } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { ShippingService } from "@weft/contracts/shop/shipping/v1";
import { SagaAdminService } from "@weft/contracts/weft/saga/v1";
import { kinds } from "@weft/kube";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { filesWith, logsOf, metricsOf, spansOf, tablesOf } from "./everything-kept.js";
import { grpcFrame, rawGrpc } from "./garbage.js";
import { type Laptop, shopClients, startLaptop } from "./laptop.js";
import { podsOf } from "./pods.js";
import { orderOf, tokenOf } from "./shopping.js";
import { formsOf, placesOf, type TypedNumber, typedNumbers, type Usual, usualOf } from "./typed-numbers.js";

let laptop: Laptop;

beforeAll(async () => {
  laptop = await startLaptop();
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

/** Every service of the shop, by the Deployment that serves it, and what stands beside it there. */
const served: readonly (readonly [deployment: string, service: DescService])[] = [
  ["cart", CartService],
  ["catalog", CatalogService],
  ["inventory", InventoryService],
  ["orders", OrderService],
  ["payments", PaymentService],
  ["shipping", ShippingService],
  ["orders", SagaAdminService],
  ["catalog", Health],
];

/** What the callers of one run were told in errors, and in the headers and trailers of every answer. */
class Told {
  readonly #texts: string[] = [];
  calls = 0;
  errors = 0;

  headers(headers: Headers): void {
    // Percent-encoded, as grpc-message is, and not.
    for (const [name, value] of headers) this.#texts.push(`${name}: ${value}`, decoded(value));
  }

  error(thrown: unknown): void {
    const error = ConnectError.from(thrown);
    this.errors += 1;
    this.#texts.push(error.message);
    this.headers(error.metadata);
    for (const detail of error.details)
      this.#texts.push("type" in detail ? `${detail.type} ${Buffer.from(detail.value).toString("latin1")}` : "");
    for (const detail of error.details) if ("debug" in detail) this.#texts.push(JSON.stringify(detail.debug) ?? "");
  }

  text(text: string): void {
    this.#texts.push(text);
  }

  toString(): string {
    return this.#texts.join("\n");
  }
}

interface Way {
  readonly transport: Transport;
  /** By this way only methods that are for everybody can be called, and nobody says who they are. */
  readonly edge: boolean;
}

const limitMs = 4_000;

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function isServerStreaming(method: DescMethod): method is DescMethodServerStreaming {
  return method.methodKind === "server_streaming";
}

async function callOnce(
  way: Way,
  service: DescService,
  name: string,
  init: Record<string, unknown>,
  told: Told,
  headers?: Headers,
) {
  const method = service.methods.find((one) => one.name === name);
  if (method === undefined) throw new Error(`${service.typeName} has no ${name}`);
  const all = new Headers(headers);
  if (!way.edge) all.set("weft-user", all.get("weft-user") ?? "ann");
  const { transport } = way;
  told.calls += 1;
  try {
    const signal = AbortSignal.timeout(limitMs);
    if (isUnary(method)) {
      const answer = await transport.unary(method, signal, limitMs, all, create(method.input, init));
      told.headers(answer.header);
      told.headers(answer.trailer);
      return;
    }
    if (!isServerStreaming(method)) return;
    const input = (async function* () {
      yield create(method.input, init);
    })();
    const answer = await transport.stream(method, signal, limitMs, all, input);
    told.headers(answer.header);
    // The first message is enough: some of these streams have no end.
    for await (const _ of answer.message) break;
  } catch (error) {
    told.error(error);
  }
}

/** Raw requests to the edge, with a number where no contract has a field: in the path, the query, a header, and in a body that is no message. */
async function typeAroundContracts({ text, digits }: TypedNumber, told: Told): Promise<void> {
  const path = `${laptop.gatewayUrl}/shop.orders.v1.OrderService`;
  const json = { "content-type": "application/json" };
  const body = JSON.stringify({ orderId: text });
  const encoded = encodeURIComponent(text);
  const requests: (readonly [url: string, init: RequestInit])[] = [
    [`${laptop.gatewayUrl}/${encoded}`, {}],
    [`${path}/${encoded}`, { method: "POST", headers: json, body }],
    [`${path}/GetOrder?card=${encoded}`, { method: "POST", headers: json, body }],
    [`${path}/GetOrder?connect=v1&encoding=json&message=${encodeURIComponent(body)}`, {}],
    [`${path}/GetOrder?connect=v1&encoding=${encoded}&message=${encoded}`, {}],
    [`${path}/GetOrder`, { method: "POST", headers: json, body: `{"${text}": 1, "orderId": ${digits}}` }],
    [`${path}/GetOrder`, { method: "POST", headers: json, body: text }],
    [`${path}/GetOrder`, { method: "POST", headers: { "content-type": `application/${digits}` }, body }],
    [`${path}/GetOrder`, { method: text.replace(/\W/g, ""), headers: json }],
  ];
  const names = ["x-request-id", "x-note", "user-agent", "cookie", "authorization", "baggage", "tracestate", "origin"];
  for (const name of [...names, "weft-user", "connect-timeout-ms", "grpc-timeout", "traceparent", "accept-encoding"])
    requests.push([`${path}/GetOrder`, { method: "POST", headers: { ...json, [name]: text }, body }]);
  requests.push([`${path}/GetOrder`, { method: "POST", headers: { ...json, [`x-${digits}`]: "1" }, body }]);
  for (const [url, init] of requests) {
    told.calls += 1;
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(limitMs) }).catch(() => undefined);
    if (answer === undefined) continue;
    told.headers(answer.headers);
    told.text(await answer.text());
  }
}

/** Types one number into every place that is not for secrets, and another into every one that is, in every way there is. */
async function typeEverywhere(open: TypedNumber, secret: TypedNumber, told: Told): Promise<void> {
  const shop = shopClients(laptop.gatewayUrl);
  const paymentToken = await tokenOf(shop);
  const productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
  const { order } = await shop.orders.placeOrder(await orderOf(shop, { productId, paymentToken }));
  const usual = (): Usual => ({
    idempotencyKey: randomUUID(),
    productId,
    productIds: productId,
    quantity: 1,
    currency: "EUR",
    paymentToken,
    token: paymentToken,
    recipient: "Ann",
    street: "Lane 1",
    city: "Berlin",
    postalCode: "10115",
    country: "DE",
    orderId: order?.orderId ?? "",
    sagaId: order?.orderId ?? "",
    minorUnits: 100n,
    weightGrams: 500n,
    authorizeKey: "nobody",
    labelKey: "nobody",
    reserveKey: "nobody",
    refundKey: "nobody",
    reason: "to see",
    step: "label",
    query: "tea",
  });
  const baseUrl = laptop.gatewayUrl;
  const edges: readonly Way[] = [
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
    createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true, useHttpGet: true }),
    createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
    createGrpcTransport({ baseUrl }),
  ].map((transport) => ({ transport, edge: true }));
  let turn = 0;
  for (const [deployment, service] of served) {
    const [pod] = await podsOf(laptop.client, "shop", deployment);
    const inside = {
      transport: createGrpcTransport({ baseUrl: `http://${pod?.status?.podIP}:8080` }),
      edge: false,
    };
    await typeIntoPaths(`${pod?.status?.podIP}:8080`, open, told);
    for (const method of service.methods) {
      for (const place of placesOf(method, usual())) {
        const init = place.fill(place.sensitive ? secret : open);
        turn += 1;
        const edge = edges[turn % edges.length] ?? inside;
        await callOnce(inside, service, method.name, init, told);
        await callOnce(edge, service, method.name, init, told);
      }
      // In what goes along with a call, of a method that has no field too.
      const headers = new Headers({ "x-note": open.text, "weft-user": open.text, "x-note-bin": btoa(open.text) });
      headers.set("tracestate", `card=${open.digits}`);
      headers.set("baggage", `card=${open.digits}`);
      await callOnce(inside, service, method.name, usualOf(method.input, usual()), told, headers);
      headers.delete("weft-user");
      await callOnce(edges[0] ?? inside, service, method.name, usualOf(method.input, usual()), told, headers);
    }
  }
  await typeAroundContracts(open, told);
}

/** Paths that nobody serves, sent to a Pod itself. */
async function typeIntoPaths(address: string, { text, digits }: TypedNumber, told: Told): Promise<void> {
  const encoded = encodeURIComponent(text);
  const body = grpcFrame(new Uint8Array());
  // The answer to a path is the transport's own, and names the path to who sent it; nothing else may.
  for (const path of [`/${encoded}/Get`, `/shop.orders.v1.OrderService/${encoded}`, `/${digits}`, `/x?card=${digits}`])
    await rawGrpc(address, path, { headers: { "weft-user": "ann" }, body });
  // What is no message at all, with the number in it.
  const garbage = grpcFrame(new TextEncoder().encode(digits));
  const answer = await rawGrpc(address, "/shop.orders.v1.OrderService/GetOrder", {
    headers: { "weft-user": "ann", "x-note": digits },
    body: garbage,
  });
  told.text(decoded(answer.grpcMessage));
}

test("a card number typed into any field of any call is in no log, span, metric, event or error; in a sensitive field also in no table, file or snapshot", async () => {
  const pair = fc.tuple(typedNumbers, typedNumbers).filter(([open, secret]) => open.digits !== secret.digits);
  await fc.assert(
    fc.asyncProperty(pair, async ([open, secret]) => {
      const told = new Told();
      await typeEverywhere(open, secret, told);
      expect(told.calls).toBeGreaterThan(300);
      expect(told.errors).toBeGreaterThan(50);
      const events = JSON.stringify((await laptop.client.list(kinds.event)).items);
      const shown = {
        errors: String(told),
        logs: logsOf(laptop),
        spans: await spansOf(laptop),
        metrics: await metricsOf(laptop),
        events,
      };
      expect(shown.logs).toContain('"service"');
      expect(shown.metrics).toContain("TokenizeCard");
      const found = [open, secret].flatMap(({ digits }) =>
        formsOf(digits).flatMap((form) =>
          Object.entries(shown).map(([where, text]) => ({ where, text: around(text, form) })),
        ),
      );
      expect(found.filter(({ text }) => text !== "")).toEqual([]);
      const kept = await tablesOf(laptop);
      for (const form of [...formsOf(secret.digits), secret.digits.slice(0, 12)]) {
        expect(around(kept, form)).toBe("");
        expect(around(kept, Buffer.from(form).toString("hex"))).toBe("");
      }
      expect(await filesWith(laptop, [...formsOf(secret.digits), secret.digits.slice(0, 12)])).toEqual([]);
      // The searches find what is there.
      expect(kept).toContain(open.text);
      expect((await filesWith(laptop, [open.text])).length).toBeGreaterThan(0);
    }),
    { numRuns: 2, endOnFailure: true },
  );
}, 600_000);

/** Without percent-encoding, where there is one. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** A text where it stands, to see whence it came; nothing when it does not. */
function around(text: string, found: string): string {
  const at = text.indexOf(found);
  return at < 0 ? "" : text.slice(Math.max(0, at - 300), at + 100);
}
