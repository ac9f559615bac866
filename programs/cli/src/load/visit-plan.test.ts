import { expect, test } from "vitest";
import { seededRandom } from "./random.js";
import { paceOf } from "./run-load.js";
import { callsOf, type Deed, planOf } from "./visit-plan.js";

const seeds = Array.from({ length: 4_000 }, (_, n) => n);

test("the same seed gives the same visits, another seed others", () => {
  const plans = (seed: number) => seeds.slice(0, 50).map((visitor) => planOf(seed, visitor));
  expect(plans(7)).toEqual(plans(7));
  expect(plans(7)).not.toEqual(plans(8));
  expect(new Set(plans(7).map((plan) => JSON.stringify(plan))).size).toBeGreaterThan(45);
});

test("random numbers lie in [0, 1) evenly, and neighbouring seeds have nothing in common", () => {
  const draws = seeds.map((seed) => seededRandom(3, seed)());
  expect(Math.min(...draws)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...draws)).toBeLessThan(1);
  const tenths = Array.from(
    { length: 10 },
    (_, tenth) => draws.filter((draw) => Math.floor(draw * 10) === tenth).length,
  );
  for (const count of tenths) expect(Math.abs(count - 400)).toBeLessThan(100);
});

test("people do everything that can be done in the shop, and only buyers with a card order", () => {
  const plans = seeds.map((visitor) => planOf(1, visitor).map(({ deed }) => deed));
  const kinds = new Set(plans.flat().map(({ t }) => t));
  const all: Deed["t"][] = ["browse", "search", "look", "take", "change", "drop", "cart", "checkout", "card", "order"];
  expect(kinds).toEqual(new Set([...all, "clear", "merge", "watch", "cancel", "refund", "orders"]));
  const ordering = plans.filter((plan) => plan.some(({ t }) => t === "order"));
  expect(ordering.length / plans.length).toBeGreaterThan(0.2);
  for (const plan of ordering) {
    const kindsInOrder = plan.map(({ t }) => t);
    expect(kindsInOrder.indexOf("take")).toBeLessThan(kindsInOrder.indexOf("card"));
    expect(kindsInOrder.indexOf("card")).toBeLessThan(kindsInOrder.indexOf("order"));
  }
  const cards = plans.flat().filter((deed) => deed.t === "card");
  const declined = cards.filter(({ kind }) => kind === "declined").length / cards.length;
  expect(declined).toBeGreaterThan(0.04);
  expect(declined).toBeLessThan(0.15);
});

test("people come as often as the rate asks for, and think as long as their number allows", () => {
  const calls = seeds.flatMap((visitor) => planOf(5, visitor)).reduce((sum, { deed }) => sum + callsOf(deed), 0);
  const few = paceOf({ perSecond: 20, users: 10, seed: 5 });
  expect((few.visitsPerSecond * calls) / seeds.length).toBeCloseTo(20, 0);
  const many = paceOf({ perSecond: 20, users: 20, seed: 5 });
  expect(many.visitsPerSecond).toBe(few.visitsPerSecond);
  expect(many.meanPauseMs).toBeCloseTo(2 * few.meanPauseMs);
  expect(paceOf({ perSecond: 1, users: 10_000, seed: 5 }).meanPauseMs).toBe(4_000);
});
