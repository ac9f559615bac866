import { between, exponential, type Random, seededRandom } from "./random.js";

/** What the card does with which somebody pays. */
export type CardKind = "good" | "challenged" | "declined";

/**
 * One thing that somebody does in the shop. What it is done to depends on what the shop has answered before, so a plan says only
 * where to look: a share (0 to 1) of whatever list there is by then.
 */
export type Deed =
  /** Reads the next page of all products. */
  | { readonly t: "browse"; readonly pageSize: number }
  /** Searches for a word that stands on some product seen so far, and reads the first few results. */
  | { readonly t: "search"; readonly which: number; readonly enough: number }
  /** Opens a product, and perhaps asks how many are left. */
  | { readonly t: "look"; readonly which: number; readonly stock: boolean }
  /** Puts a product that was seen into the cart. */
  | { readonly t: "take"; readonly which: number; readonly quantity: number }
  /** Says how many of something in the cart there shall be. */
  | { readonly t: "change"; readonly which: number; readonly quantity: number }
  /** Takes something out of the cart again. */
  | { readonly t: "drop"; readonly which: number }
  /** Takes everything out of the cart. */
  | { readonly t: "clear" }
  /** Takes over a cart that was filled elsewhere: reads the cart for its id, as an app keeps it, and gives that. */
  | { readonly t: "merge" }
  /** Reads the cart. */
  | { readonly t: "cart" }
  /** Has the cart priced, and what it costs to send it. */
  | { readonly t: "checkout"; readonly country: string }
  /** Gives a card to the payment service. */
  | { readonly t: "card"; readonly kind: CardKind; readonly which: number }
  /** Orders what is in the cart, or at once what was picked in this visit. */
  | { readonly t: "order"; readonly country: string; readonly from: "cart" | "picked" }
  /** Looks on until the order changes no more, or until that takes too long. */
  | { readonly t: "watch"; readonly patienceMs: number }
  /** Calls an order of this person off. */
  | { readonly t: "cancel" }
  /** Wants a little of the money back for an order of this person. */
  | { readonly t: "refund"; readonly minorUnits: number }
  /** Reads the list of orders, and one of them. */
  | { readonly t: "orders"; readonly which: number };

export interface PlannedDeed {
  readonly deed: Deed;
  /** How long to think before it, as a multiple of the mean. */
  readonly pause: number;
}

/** What somebody does from entering the shop until leaving it. */
export type VisitPlan = readonly PlannedDeed[];

const countries = ["DE", "FR", "NL", "US", "JP"];

/** Nobody thinks for longer than so many times the mean. */
const longestPause = 6;

/** How many calls a deed makes when all goes well. */
export function callsOf(deed: Deed): number {
  switch (deed.t) {
    case "look":
      return deed.stock ? 2 : 1;
    case "checkout":
    case "orders":
    case "merge":
      return 2;
    default:
      return 1;
  }
}

/**
 * Plans one visit: of ten people five only look around, four buy, and one comes back for an earlier order.
 * The same random numbers give the same plan.
 */
export function planVisit(random: Random): VisitPlan {
  const kind = random();
  const deeds = kind < 0.5 ? lookAround(random) : kind < 0.9 ? buy(random) : comeBack(random);
  return deeds.map((deed, index) => ({
    deed,
    pause: index === 0 ? 0 : Math.min(longestPause, exponential(random, 1)),
  }));
}

/** The plan of the n-th visitor of a run with this seed. */
export function planOf(seed: number, visitor: number): VisitPlan {
  return planVisit(seededRandom(seed, visitor));
}

function lookAround(random: Random): Deed[] {
  const deeds: Deed[] = [{ t: "browse", pageSize: between(random, 8, 24) }];
  const steps = between(random, 1, 5);
  for (let step = 0; step < steps; step++) {
    const what = random();
    if (what < 0.2) deeds.push({ t: "browse", pageSize: between(random, 8, 24) });
    else if (what < 0.5) deeds.push({ t: "search", which: random(), enough: between(random, 1, 10) });
    else deeds.push({ t: "look", which: random(), stock: random() < 0.4 });
  }
  return deeds;
}

function buy(random: Random): Deed[] {
  const deeds: Deed[] = lookAround(random);
  const items = between(random, 1, 3);
  for (let item = 0; item < items; item++) {
    const which = random();
    deeds.push({ t: "look", which, stock: random() < 0.5 }, { t: "take", which, quantity: between(random, 1, 3) });
  }
  if (random() < 0.25) deeds.push({ t: "change", which: random(), quantity: between(random, 1, 4) });
  if (random() < 0.1) deeds.push({ t: "drop", which: random() });
  if (random() < 0.3) deeds.push({ t: "cart" });
  // Some leave it at that: a full cart is not yet an order.
  if (random() < 0.2) {
    if (random() < 0.3) deeds.push({ t: "clear" });
    return deeds;
  }
  const country = countries[between(random, 0, countries.length - 1)] ?? "DE";
  const luck = random();
  const kind: CardKind = luck < 0.88 ? "good" : luck < 0.94 ? "challenged" : "declined";
  deeds.push(
    { t: "checkout", country },
    { t: "card", kind, which: random() },
    { t: "order", country, from: random() < 0.6 ? "cart" : "picked" },
    { t: "watch", patienceMs: between(random, 3_000, 10_000) },
  );
  if (random() < 0.1) deeds.push({ t: "cancel" });
  return deeds;
}

function comeBack(random: Random): Deed[] {
  const deeds: Deed[] = [{ t: "orders", which: random() }];
  if (random() < 0.2) deeds.push({ t: "cancel" });
  else if (random() < 0.25) deeds.push({ t: "refund", minorUnits: between(random, 50, 300) });
  if (random() < 0.15) deeds.push({ t: "merge" });
  if (random() < 0.5) deeds.push(...lookAround(random));
  return deeds;
}
