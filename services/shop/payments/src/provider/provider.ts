/** Why a bank says no. */
export type DeclineReason = "card-declined" | "insufficient-funds" | "challenge-failed";

/** What is true of a charge at the provider. The same may be said more than once, and late: who hears it takes it for a state, not for an event. */
export type Answer =
  | { readonly t: "authorized" }
  /** `prompt`: what the bank asks the cardholder. */
  | { readonly t: "challenge"; readonly prompt: string }
  | { readonly t: "declined"; readonly reason: DeclineReason }
  /** Amounts are minor units of the charge's currency. */
  | { readonly t: "captured"; readonly amount: bigint }
  /** `held`: whether anything was held until then. */
  | { readonly t: "voided"; readonly held: boolean };

/** An answer that comes by itself, not as the reply of a call. */
export interface Notice {
  readonly chargeKey: string;
  readonly answer: Answer;
}

/** A card that the provider keeps. */
export interface KeptCard {
  /** Names the card in place of its number. */
  readonly token: string;
  /** The card's network. */
  readonly brand: "visa" | "mastercard" | "amex" | "other";
}

/** A charge to authorize. */
export interface Charge {
  readonly chargeKey: string;
  readonly token: string;
  readonly amount: bigint;
  readonly currency: string;
}

/**
 * Who moves the money. Every method is told its key by the caller and may be called any number of times with it: it does its work once, and
 * answers what is true then. A call that is aborted or fails has an unknown outcome, which {@link PaymentProvider.lookUp} tells.
 *
 * A charge ends once: of a capture and a void that race, both are answered with the one that won. A void of a charge that the provider does not
 * know forbids its key.
 */
export interface PaymentProvider {
  /** Numbers that it has published for trying things out, and what it does with each; none when it moves real money. */
  readonly testCards: readonly { readonly number: string; readonly behaviour: string }[];
  /** Keeps a card. The number goes nowhere else, and no part of it comes back. */
  tokenize(cardNumber: string, signal: AbortSignal): Promise<KeptCard>;
  authorize(charge: Charge, signal: AbortSignal): Promise<Answer>;
  answerChallenge(chargeKey: string, answer: string, signal: AbortSignal): Promise<Answer>;
  capture(capture: { readonly chargeKey: string; readonly amount: bigint }, signal: AbortSignal): Promise<Answer>;
  void(chargeKey: string, signal: AbortSignal): Promise<Answer>;
  refund(
    refund: { readonly refundKey: string; readonly chargeKey: string; readonly amount: bigint },
    signal: AbortSignal,
  ): Promise<void>;
  /** What is true of a charge now; nothing when the provider does not know it, or has not decided. */
  lookUp(chargeKey: string, signal: AbortSignal): Promise<Answer | undefined>;
  /** Calls the listener for each notice until disposed. Notices may be missed: they save time, nothing depends on them. */
  onNotice(listener: (notice: Notice) => void): Disposable;
}
