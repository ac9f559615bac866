import type { DeclineReason } from "../provider.js";

/** How a simulated card behaves when it is charged. */
export type Behaviour =
  | "approve"
  | DeclineReason
  /** Its bank asks a question first: {@link challengeAnswer} is right. */
  | "challenge"
  /** The provider never answers, and nothing happens there. */
  | "time-out"
  /** The provider holds the money, but answers only after the caller has given up. */
  | "late"
  /** The provider answers at once, and once more by itself. */
  | "twice";

/** What a simulated bank asks. */
export const challengePrompt = 'Is it you who buys this? Answer "let me through".';

/** What the cardholder must answer to the challenge of a simulated bank. */
export const challengeAnswer = "let me through";

/**
 * The published test cards: numbers that no bank gives out. This file is the only place that holds any. Every other number that passes the
 * Luhn check approves.
 */
export const testCards: readonly { readonly number: string; readonly behaviour: Behaviour }[] = [
  { number: "4242424242424242", behaviour: "approve" },
  { number: "5555555555554444", behaviour: "approve" },
  { number: "378282246310005", behaviour: "approve" },
  { number: "4000000000000002", behaviour: "card-declined" },
  { number: "4000000000009995", behaviour: "insufficient-funds" },
  { number: "4000002500003155", behaviour: "challenge" },
  { number: "4000000000000119", behaviour: "time-out" },
  { number: "4000000000000259", behaviour: "late" },
  { number: "4000000000000077", behaviour: "twice" },
];

/** How the card with this number behaves. */
export function behaviourOf(cardNumber: string): Behaviour {
  return testCards.find((card) => card.number === cardNumber)?.behaviour ?? "approve";
}
