import { randomUUID } from "node:crypto";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { OrderRefusalReason, OrderRefusedDetailSchema, OrderState } from "@weft/contracts/shop/orders/v1";
import { PaymentService, PaymentState } from "@weft/contracts/shop/payments/v1";
import { LabelState, ShippingService } from "@weft/contracts/shop/shipping/v1";
import { SagaAdminService, SagaState } from "@weft/contracts/weft/saga/v1";
import { eventually } from "@weft/foundation/testing";
import { kinds } from "@weft/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Laptop, shopClients, startLaptop } from "./laptop.js";
import { deploymentReady, podsOf } from "./pods.js";
import { podProcess } from "./processes.js";
import { doorOf, orderOf, tokenOf } from "./shopping.js";

let laptop: Laptop;
let shop: ReturnType<typeof shopClients>;
let productId: string;

beforeAll(async () => {
  laptop = await startLaptop();
  shop = shopClients(laptop.gatewayUrl);
  productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

async function orderWith(behaviour: string) {
  const paymentToken = await tokenOf(shop, behaviour);
  return orderOf(shop, { productId, paymentToken });
}

const rightAnswer = "let me through";

async function stock(): Promise<number> {
  return (await shop.inventory.getStock({ productIds: [productId] })).stocks[0]?.available ?? -1;
}

test("a challenged card is answered through the order, also when orders was killed while it waited", async () => {
  const before = await stock();
  const { order: placed } = await shop.orders.placeOrder(await orderWith("challenge"));
  expect(placed).toMatchObject({
    state: OrderState.AWAITING_CHALLENGE,
    challenge: { prompt: expect.stringContaining("Is it you") },
  });
  const orderId = placed?.orderId ?? "";
  for (const pod of await podsOf(laptop.client, "shop", "orders")) process.kill(podProcess(pod), "SIGKILL");
  const answer = { idempotencyKey: randomUUID(), orderId, answer: rightAnswer };
  // As a patient client does: the same request again while orders is away.
  const confirmed = await eventually(
    async () => {
      const { order } = await shop.orders.answerChallenge(answer, { timeoutMs: 10_000 }).catch((thrown: unknown) => {
        if (ConnectError.from(thrown).code !== Code.Unavailable) throw thrown;
        return { order: undefined };
      });
      return order?.state === OrderState.CONFIRMED ? order : undefined;
    },
    { ceilingMs: 120_000, everyMs: 300, what: "the order confirmed" },
  );
  expect(confirmed.challenge).toBeUndefined();
  expect(await stock()).toBe(before - 1);
  const payments = createClient(PaymentService, await doorOf(laptop, "payments"));
  const { payment } = await payments.getPayment({ paymentId: confirmed.paymentId });
  expect(payment).toMatchObject({ state: PaymentState.CAPTURED, captured: confirmed.totalPrice });
}, 180_000);

test("a wrong answer refuses the order, says why, and leaves nothing held", async () => {
  const before = await stock();
  const { order } = await shop.orders.placeOrder(await orderWith("challenge"));
  const orderId = order?.orderId ?? "";
  const error = await shop.orders
    .answerChallenge({ idempotencyKey: randomUUID(), orderId, answer: "no idea" })
    .then(() => undefined, ConnectError.from);
  expect([error?.code, error?.findDetails(OrderRefusedDetailSchema)[0]?.refusal?.reason]).toEqual([
    Code.FailedPrecondition,
    OrderRefusalReason.CARD_DECLINED,
  ]);
  await eventually(async () => (await stock()) === before, { ceilingMs: 20_000, what: "the stock back" });
}, 60_000);

test("what the carrier has got is shipped, and is cancelled no more", async () => {
  const { order } = await shop.orders.placeOrder(await orderWith("approve"));
  const { orderId = "", labelId = "" } = order ?? {};
  const shipping = createClient(ShippingService, await doorOf(laptop, "shipping"));
  await shipping.recordScan({ idempotencyKey: randomUUID(), labelId, state: LabelState.HANDED_OVER });
  await eventually(async () => (await shop.orders.getOrder({ orderId })).order?.state === OrderState.SHIPPED, {
    ceilingMs: 60_000,
    everyMs: 300,
    what: "the order shipped",
  });
  const error = await shop.orders
    .cancelOrder({ idempotencyKey: randomUUID(), orderId })
    .then(() => undefined, ConnectError.from);
  expect([error?.code, error?.rawMessage]).toEqual([
    Code.FailedPrecondition,
    `order "${orderId}" was shipped: it cannot be cancelled any more`,
  ]);
}, 90_000);

test("an operator skips the step of an order that cannot go on: it goes on from the next one, and the act stands in its history", async () => {
  const scaleTo = async (replicas: number): Promise<void> => {
    const body = { spec: { replicas } };
    await laptop.client.patch(kinds.deployment, { namespace: "shop", name: "shipping" }, { t: "merge", body });
    await deploymentReady(laptop.client, "shop", "shipping");
  };
  const { order } = await shop.orders.placeOrder(await orderWith("challenge"));
  const orderId = order?.orderId ?? "";
  await scaleTo(0);
  await shop.orders
    .answerChallenge({ idempotencyKey: randomUUID(), orderId, answer: rightAnswer }, { timeoutMs: 3_000 })
    .catch(() => undefined);
  const admin = createClient(SagaAdminService, await doorOf(laptop, "orders"));
  await eventually(async () => (await admin.getSaga({ sagaId: orderId })).saga?.step === "label", {
    ceilingMs: 60_000,
    what: "the saga at its label",
  });
  // Between two attempts it waits; an act in the middle of one is refused.
  const skip = (...more: readonly string[]) =>
    laptop.weft("sagas", "skip", orderId, "label", "--reason", "sent by hand", ...more);
  const without = await eventually(
    async () => {
      const { stderr } = await skip();
      return stderr.includes("right now") ? undefined : stderr;
    },
    { ceilingMs: 60_000, everyMs: 100, what: "an answer to a skip without a result" },
  );
  expect(without).toContain("shop.orders.saga.v1.Labelled");
  await eventually(
    async () => {
      const { code } = await skip("--result", '{"labelId":"by-hand","trackingCode":"BY-HAND"}');
      return code === 0;
    },
    { ceilingMs: 60_000, everyMs: 100, what: "the step skipped" },
  );
  await eventually(async () => (await admin.getSaga({ sagaId: orderId })).saga?.state === SagaState.COMPLETED, {
    ceilingMs: 60_000,
    what: "the saga completed",
  });
  expect((await shop.orders.getOrder({ orderId })).order).toMatchObject({
    state: OrderState.CONFIRMED,
    trackingCode: "BY-HAND",
  });
  const show = (await laptop.weft("sagas", "show", orderId)).stdout;
  expect(show).toMatch(/ skip +label +sent by hand$/m);
  await scaleTo(1);
}, 240_000);
