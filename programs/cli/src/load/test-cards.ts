import { at } from "./random.js";
import type { CardKind } from "./visit-plan.js";

/** A card that the payment simulator publishes, and what it does with it. */
export interface TestCard {
  readonly number: string;
  readonly behaviour: string;
}

const behavioursOf: Readonly<Record<CardKind, readonly string[]>> = {
  good: ["approve", "twice"],
  challenged: ["challenge"],
  declined: ["card-declined", "insufficient-funds"],
};

/**
 * The card to pay with, of those that the shop's payment service publishes for trying it out. Nothing when it publishes none of the kind, as with a
 * provider that moves real money: the generator knows no number of its own.
 */
export function cardFor(cards: readonly TestCard[], kind: CardKind, which: number): TestCard | undefined {
  const fitting = cards.filter(({ behaviour }) => behavioursOf[kind].includes(behaviour));
  return at(fitting, which);
}
