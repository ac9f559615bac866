import { Code } from "@connectrpc/connect";
import { OutOfStockDetailSchema } from "@weft/contracts/shop/inventory/v1";
import {
  OrderRefusalReason,
  OrderRefusedDetailSchema,
  OrderState,
  type WatchOrderResponse,
} from "@weft/contracts/shop/orders/v1";
import { eventually } from "@weft/foundation/testing";
import { startTestPostgres } from "@weft/store/testing";
import { expect, test } from "vitest";
import { cards } from "./testing/fake-shop.js";
import { errorOf, gate, order, startFixture } from "./testing/fixture.js";

test("an order is priced, reserved, paid, labelled and confirmed, and found again by its owner only", async () => {
  await using fixture = await startFixture();
  const replica = fixture.startReplica();
  const ann = replica.as("ann");
  const placed = await ann.placeOrder(order("k"));
  expect(placed.order).toMatchObject({
    state: OrderState.CONFIRMED,
    totalPrice: { minorUnits: 3_010n, currency: "EUR" },
    shippingPrice: { minorUnits: 430n },
    refundedPrice: { minorUnits: 0n },
    lines: [{ productId: "tea", name: "The tea", quantity: 2, totalPrice: { minorUnits: 2_580n } }],
    paymentId: expect.stringContaining(cards.good),
    trackingCode: expect.stringMatching(/^T-/),
  });
  const { shop } = fixture;
  expect([shop.charged, shop.held, shop.sold, shop.openLabels]).toEqual([3_010n, 0, 2, 1]);
  const orderId = placed.order?.orderId ?? "";
  expect((await ann.getOrder({ orderId })).order).toEqual(placed.order);
  expect((await errorOf(replica.as("bob").getOrder({ orderId }))).code).toBe(Code.NotFound);
});

test("the same order sent 50 times at once to two replicas is one order, one reply and one charge; another body is refused", async () => {
  await using fixture = await startFixture();
  const replicas = [fixture.startReplica().as("ann"), fixture.startReplica().as("ann")];
  const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => replicas[n % 2]?.placeOrder(order("k"))));
  expect(new Set(replies.map((reply) => reply?.order?.orderId)).size).toBe(1);
  expect(new Set(replies.map((reply) => reply?.order?.state))).toEqual(new Set([OrderState.CONFIRMED]));
  expect(await fixture.database.query("SELECT 1 FROM orders")).toHaveLength(1);
  expect([fixture.shop.captures, fixture.shop.sold]).toEqual([1, 2]);
  const [ann] = replicas;
  if (ann === undefined) throw new Error("no replica");
  expect((await errorOf(ann.placeOrder(order("k", { quantity: 3 })))).code).toBe(Code.AlreadyExists);
});

test.each([
  ["no such product", { productId: "unknown" }, Code.InvalidArgument, OrderRefusalReason.INVALID],
  ["nothing left", { productId: "rare" }, Code.FailedPrecondition, OrderRefusalReason.OUT_OF_STOCK],
  ["a declined card", { paymentToken: cards.declined }, Code.FailedPrecondition, OrderRefusalReason.CARD_DECLINED],
  ["a poor card", { paymentToken: cards.poor }, Code.FailedPrecondition, OrderRefusalReason.INSUFFICIENT_FUNDS],
  ["another's card", { paymentToken: "card-of-another" }, Code.FailedPrecondition, OrderRefusalReason.PAYMENT_REFUSED],
  ["no way there", { country: "AQ" }, Code.FailedPrecondition, OrderRefusalReason.NOT_DELIVERABLE],
  ["a lapsed hold", { paymentToken: cards.lapsing }, Code.FailedPrecondition, OrderRefusalReason.PAYMENT_REFUSED],
])("%s refuses the order with its reason; nothing stays held, nothing is charged", async (_, wish, code, reason) => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const error = await errorOf(ann.placeOrder(order("k", wish)));
  const [detail] = error.findDetails(OrderRefusedDetailSchema);
  expect([error.code, detail?.refusal?.reason]).toEqual([code, reason]);
  expect(error.metadata.get("secret")).toBeNull();
  await fixture.atRest();
  const { shop } = fixture;
  expect([shop.charged, shop.holds, shop.held, shop.sold, shop.openLabels]).toEqual([0n, 0, 0, 0, 0]);
  const kept = await ann.getOrder({ orderId: detail?.orderId ?? "" });
  expect(kept.order).toMatchObject({ state: OrderState.REFUSED, refusal: { reason, message: error.rawMessage } });
  // The same key tells the same again, and does nothing.
  const calls = shop.calls.length;
  expect(await errorOf(ann.placeOrder(order("k", wish)))).toMatchObject({ code, rawMessage: error.rawMessage });
  expect(shop.calls).toHaveLength(calls);
});

test("out of stock goes on to the caller with the product and what is left", async () => {
  await using fixture = await startFixture();
  const error = await errorOf(
    fixture
      .startReplica()
      .as("ann")
      .placeOrder(order("k", { productId: "rare", quantity: 4 })),
  );
  expect(error.findDetails(OutOfStockDetailSchema)[0]?.shortages).toMatchObject([
    { productId: "rare", requested: 4, available: 1 },
  ]);
});

test("what is wrong with a request is named before anything is recorded or asked", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const wrong = [
    [{ currency: "euro" }, 'currency "euro": must be three capital letters (ISO 4217)'],
    [{ items: [] }, "items: 0 of them, must be 1 to 50"],
    [{ paymentToken: "" }, "payment_token: must be a token from TokenizeCard"],
    [{ delivery: undefined }, "delivery.address: must be set"],
  ] as const;
  for (const [part, message] of wrong) {
    const { delivery, ...rest } = { ...order("k"), ...part };
    const error = await errorOf(
      ann.placeOrder({ ...rest, items: [...rest.items], ...(delivery === undefined ? {} : { delivery }) }),
    );
    expect([error.code, error.rawMessage]).toEqual([Code.InvalidArgument, message]);
  }
  expect((await errorOf(ann.placeOrder(order("")))).code).toBe(Code.InvalidArgument);
  expect(fixture.shop.calls).toEqual([]);
  expect((await ann.listOrders({})).orders).toEqual([]);
});

const changing = ["reserve", "authorize", "createLabel", "capture", "commit"] as const;

test.each(changing)(
  "an answer of %s that is lost changes nothing: the order is confirmed and charged once",
  async (method) => {
    await using fixture = await startFixture();
    fixture.shop.break(method, { t: "answer-lost" }, { t: "lost" });
    const placed = await fixture.startReplica().as("ann").placeOrder(order("k"));
    expect(placed.order?.state).toBe(OrderState.CONFIRMED);
    const { shop } = fixture;
    expect([shop.charged, shop.captures, shop.held, shop.sold, shop.openLabels]).toEqual([3_010n, 1, 0, 2, 1]);
  },
);

test.each(["batchGetProducts", "reserve", "authorize", "createLabel"])(
  "while %s is away for too long the order comes to nothing, and says that it may be placed anew",
  async (method) => {
    await using fixture = await startFixture();
    fixture.shop.break(method, { t: "answer-lost" }, ...Array.from({ length: 9 }, () => ({ t: "lost" as const })));
    // What would tell that it happened is away too, until the order turns back.
    for (const lookUp of ["getReservation", "getPayment", "getLabel"])
      fixture.shop.break(lookUp, ...Array.from({ length: 3 }, () => ({ t: "lost" as const })));
    const error = await errorOf(fixture.startReplica().as("ann").placeOrder(order("k")));
    expect([error.code, error.findDetails(OrderRefusedDetailSchema)[0]?.refusal?.reason]).toEqual([
      Code.Aborted,
      OrderRefusalReason.UNAVAILABLE,
    ]);
    await fixture.atRest();
    const { shop } = fixture;
    expect([shop.charged, shop.holds, shop.held, shop.sold, shop.openLabels]).toEqual([0n, 0, 0, 0, 0]);
  },
);

test.each(["reserve", "authorize", "createLabel"])(
  "%s arriving only after its order was undone is refused: nothing stays held",
  async (method) => {
    await using fixture = await startFixture({ policy: { timeoutMs: 400, attempts: 1 } });
    const late = gate();
    fixture.shop.break(method, { t: "late", until: late.opened });
    const error = await errorOf(fixture.startReplica().as("ann").placeOrder(order("k")));
    expect(error.code).toBe(Code.Aborted);
    await fixture.atRest();
    late.open();
    await new Promise((resolve) => setImmediate(resolve));
    const { shop } = fixture;
    expect([shop.charged, shop.holds, shop.held, shop.sold, shop.openLabels]).toEqual([0n, 0, 0, 0, 0]);
  },
);

test("a capture that answers late is asked about, and charged once", async () => {
  await using fixture = await startFixture({ policy: { timeoutMs: 400 } });
  const late = gate();
  fixture.shop.break("capture", { t: "late", until: late.opened });
  const pending = fixture.startReplica().as("ann").placeOrder(order("k"));
  await eventually(() => fixture.shop.calls.filter((call) => call === "capture").length > 1, {
    ceilingMs: 20_000,
    what: "capture asked again",
  });
  late.open();
  expect((await pending).order?.state).toBe(OrderState.CONFIRMED);
  expect([fixture.shop.charged, fixture.shop.captures]).toEqual([3_010n, 1]);
});

test("a caller who cannot wait gets the pending order, watches it, and gets its outcome by the same key", async () => {
  await using fixture = await startFixture();
  const [one, other] = [fixture.startReplica().as("ann"), fixture.startReplica().as("ann")];
  const hold = gate();
  fixture.shop.break("authorize", { t: "late", until: hold.opened });
  const pending = await one.placeOrder(order("k"), { timeoutMs: 1_500 });
  expect(pending.order).toMatchObject({ state: OrderState.PLACED, totalPrice: { minorUnits: 3_010n } });
  const orderId = pending.order?.orderId ?? "";
  const seen: WatchOrderResponse[] = [];
  for await (const update of other.watchOrder({ orderId })) {
    seen.push(update);
    hold.open();
    if (update.order?.state === OrderState.CONFIRMED) break;
  }
  expect(seen.map((update) => update.order?.state)).toEqual([OrderState.PLACED, OrderState.CONFIRMED]);
  expect((await other.placeOrder(order("k"))).order).toMatchObject({ orderId, state: OrderState.CONFIRMED });
  expect(fixture.shop.captures).toBe(1);
});

test("another replica carries on the orders of one that was killed", async () => {
  await using fixture = await startFixture();
  const [doomed, survivor] = [fixture.startReplica(), fixture.startReplica()];
  const hold = gate();
  fixture.shop.break("createLabel", ...Array.from({ length: 10 }, () => ({ t: "late" as const, until: hold.opened })));
  const lost = Array.from({ length: 10 }, (_, n) => errorOf(doomed.as("ann").placeOrder(order(`k${n}`))));
  await eventually(() => fixture.shop.calls.filter((call) => call === "createLabel").length === 10, {
    ceilingMs: 20_000,
    what: "ten orders at their label",
  });
  await doomed.kill();
  hold.open();
  await Promise.all(lost);
  const replies = await Promise.all(
    Array.from({ length: 10 }, (_, n) => survivor.as("ann").placeOrder(order(`k${n}`), { timeoutMs: 30_000 })),
  );
  expect(replies.map((reply) => reply.order?.state)).toEqual(Array(10).fill(OrderState.CONFIRMED));
  const { shop } = fixture;
  expect([shop.charged, shop.captures, shop.held, shop.openLabels]).toEqual([30_100n, 10, 0, 10]);
}, 60_000);

test("a database that goes away in the middle gives UNAVAILABLE, and the same orders sent again end as one each", async () => {
  await using server = await startTestPostgres();
  await using fixture = await startFixture({ server });
  const ann = fixture.startReplica().as("ann");
  await ann.listOrders({});
  const hold = gate();
  fixture.shop.break("authorize", ...Array.from({ length: 5 }, () => ({ t: "late" as const, until: hold.opened })));
  const lost = Array.from({ length: 5 }, (_, n) => errorOf(ann.placeOrder(order(`k${n}`))));
  await eventually(() => fixture.shop.calls.filter((call) => call === "authorize").length === 5, {
    ceilingMs: 20_000,
    what: "five orders at their payment",
  });
  await server.stop();
  hold.open();
  expect((await errorOf(ann.placeOrder(order("during")))).code).toBe(Code.Unavailable);
  await server.start();
  await fixture.database.untilUp(AbortSignal.timeout(20_000));
  await Promise.allSettled(lost);
  await eventually(
    () =>
      ann.listOrders({}).then(
        () => true,
        () => false,
      ),
    { ceilingMs: 20_000, what: "the replica" },
  );
  const keys = ["k0", "k1", "k2", "k3", "k4", "during"];
  const replies = await Promise.all(keys.map((key) => ann.placeOrder(order(key), { timeoutMs: 30_000 })));
  expect(replies.map((reply) => reply.order?.state)).toEqual(Array(6).fill(OrderState.CONFIRMED));
  await fixture.atRest();
  expect([fixture.shop.charged, fixture.shop.captures, fixture.shop.held]).toEqual([18_060n, 6, 0]);
}, 90_000);
