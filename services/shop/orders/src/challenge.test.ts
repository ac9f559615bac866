import { Code } from "@connectrpc/connect";
import { OrderRefusalReason, OrderRefusedDetailSchema, OrderState } from "@weft/contracts/shop/orders/v1";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { cards, rightAnswer } from "./testing/fake-shop.js";
import { errorOf, type Fixture, type Orders, order, startFixture } from "./testing/fixture.js";

/** Charged, holds, held, sold, labels that are good. */
function standing({ shop }: Fixture): readonly unknown[] {
  return [shop.charged, shop.holds, shop.held, shop.sold, shop.openLabels];
}

async function challenged(orders: Orders, key = "k"): Promise<string> {
  const { order: placed } = await orders.placeOrder(order(key, { paymentToken: cards.challenged }));
  expect(placed).toMatchObject({ state: OrderState.AWAITING_CHALLENGE, challenge: { prompt: "Who is it?" } });
  return placed?.orderId ?? "";
}

test("an order whose card is challenged says what is asked, and is confirmed with the right answer; again it changes nothing", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const orderId = await challenged(ann);
  const seen: (OrderState | undefined)[] = [];
  for await (const { order: found } of ann.watchOrder({ orderId })) {
    seen.push(found?.state);
    if (found?.state === OrderState.CONFIRMED) break;
    if (found?.state !== OrderState.AWAITING_CHALLENGE) continue;
    const reply = await ann.answerChallenge({ idempotencyKey: "a", orderId, answer: rightAnswer });
    expect(reply.order).toMatchObject({ orderId, state: OrderState.CONFIRMED });
    expect(reply.order?.challenge).toBeUndefined();
  }
  expect(seen[0]).toBe(OrderState.AWAITING_CHALLENGE);
  await fixture.atRest();
  expect(standing(fixture)).toEqual([3_010n, 0, 0, 2, 1]);
  const { calls } = fixture.shop;
  const before = calls.length;
  const again = await ann.answerChallenge({ idempotencyKey: "a", orderId, answer: rightAnswer });
  expect(again.order?.state).toBe(OrderState.CONFIRMED);
  expect(calls).toHaveLength(before);
  const late = await errorOf(ann.answerChallenge({ idempotencyKey: "b", orderId, answer: rightAnswer }));
  expect([late.code, late.rawMessage]).toEqual([Code.FailedPrecondition, `order "${orderId}" awaits no answer`]);
});

test("a wrong answer refuses the order; nothing stays held", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const orderId = await challenged(ann);
  const error = await errorOf(ann.answerChallenge({ idempotencyKey: "a", orderId, answer: "who knows" }));
  expect([error.code, error.findDetails(OrderRefusedDetailSchema)[0]?.refusal?.reason]).toEqual([
    Code.FailedPrecondition,
    OrderRefusalReason.CARD_DECLINED,
  ]);
  await fixture.atRest();
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
});

test("a challenge that nobody answers in time refuses the order, and an answer after it changes nothing", async () => {
  await using fixture = await startFixture({ challengeMs: 300 });
  const ann = fixture.startReplica().as("ann");
  const orderId = await challenged(ann);
  await fixture.atRest();
  const { order: ended } = await ann.getOrder({ orderId });
  expect(ended).toMatchObject({
    state: OrderState.REFUSED,
    refusal: { reason: OrderRefusalReason.CHALLENGE_UNANSWERED },
  });
  expect(ended?.challenge).toBeUndefined();
  const late = await errorOf(ann.answerChallenge({ idempotencyKey: "a", orderId, answer: rightAnswer }));
  expect(late.findDetails(OrderRefusedDetailSchema)[0]?.refusal?.reason).toBe(OrderRefusalReason.CHALLENGE_UNANSWERED);
  expect(fixture.shop.calls).not.toContain("answerChallenge");
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
});

test("answers that race the end of their time leave each order confirmed and paid, or refused and undone", async () => {
  await using fixture = await startFixture({ challengeMs: 400 });
  const ann = fixture.startReplica().as("ann");
  const orderIds = await Promise.all(Array.from({ length: 12 }, (_, n) => challenged(ann, `k${n}`)));
  await Promise.allSettled(
    orderIds.map(async (orderId, n) => {
      await new Promise((resolve) => setTimeout(resolve, n * 60));
      await ann.answerChallenge({ idempotencyKey: orderId, orderId, answer: rightAnswer });
    }),
  );
  await fixture.atRest();
  const { orders } = await ann.listOrders({});
  const states = orders.map((one) => one.state);
  const confirmed = states.filter((state) => state === OrderState.CONFIRMED).length;
  expect(states.filter((state) => state === OrderState.REFUSED).length).toBe(12 - confirmed);
  expect(standing(fixture)).toEqual([3_010n * BigInt(confirmed), 0, 0, 2 * confirmed, confirmed]);
});

test("an order that awaits an answer is cancelled like any that is not paid", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const orderId = await challenged(ann);
  expect((await ann.cancelOrder({ idempotencyKey: "c", orderId })).order?.state).toBe(OrderState.CANCELLED);
  await fixture.atRest();
  expect(standing(fixture)).toEqual([0n, 0, 0, 0, 0]);
});

test("the replica that waits for the answer is killed: another one goes on with it", async () => {
  await using fixture = await startFixture();
  const [doomed, survivor] = [fixture.startReplica(), fixture.startReplica()];
  const orderId = await challenged(doomed.as("ann"));
  await doomed.kill();
  const ann = survivor.as("ann");
  expect((await ann.getOrder({ orderId })).order?.state).toBe(OrderState.AWAITING_CHALLENGE);
  const reply = await ann.answerChallenge({ idempotencyKey: "a", orderId, answer: rightAnswer });
  expect(reply.order?.state).toBe(OrderState.CONFIRMED);
  await fixture.atRest();
  expect(standing(fixture)).toEqual([3_010n, 0, 0, 2, 1]);
}, 60_000);

test("an answer that reached payments goes on with the order even when nobody recorded that here; sent again it is told what became of it", async () => {
  await using fixture = await startFixture();
  const ann = fixture.startReplica().as("ann");
  const orderId = await challenged(ann);
  fixture.shop.break("answerChallenge", { t: "answer-lost" });
  const error = await errorOf(ann.answerChallenge({ idempotencyKey: "a", orderId, answer: rightAnswer }));
  expect(error.code).toBe(Code.Unavailable);
  await eventually(async () => (await ann.getOrder({ orderId })).order?.state === OrderState.CONFIRMED, {
    ceilingMs: 20_000,
    what: "the order confirmed",
  });
  const again = await ann.answerChallenge({ idempotencyKey: "a", orderId, answer: rightAnswer });
  expect(again.order?.state).toBe(OrderState.CONFIRMED);
  expect(fixture.shop.calls.filter((call) => call === "answerChallenge")).toHaveLength(1);
  expect(fixture.shop.captures).toBe(1);
});

test("what is wrong with an answer is said without it, and another's order does not exist", async () => {
  await using fixture = await startFixture();
  const replica = fixture.startReplica();
  const orderId = await challenged(replica.as("ann"));
  const long = "x".repeat(201);
  const error = await errorOf(replica.as("ann").answerChallenge({ idempotencyKey: "a", orderId, answer: long }));
  expect([error.code, error.rawMessage]).toEqual([Code.InvalidArgument, "answer: must have 1 to 200 characters"]);
  const other = replica.as("bob").answerChallenge({ idempotencyKey: "a", orderId, answer: rightAnswer });
  expect((await errorOf(other)).code).toBe(Code.NotFound);
});
