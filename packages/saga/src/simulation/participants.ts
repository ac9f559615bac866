import { Code, ConnectError } from "@connectrpc/connect";

/** What each order costs. */
export const price = 100;

type Effect = { readonly t: "done"; readonly amount: number } | { readonly t: "undone" } | { readonly t: "refused" };

/** One participant as the README asks it to be: it remembers keys, and a compensation that comes before its step leaves a tombstone. */
class Ledger {
  readonly effects = new Map<string, Effect>();
  /** Effects that were made under each key, and not by replay. */
  readonly made = new Map<string, number>();

  do(key: string, amount: number, allowed: () => boolean): void {
    const known = this.effects.get(key);
    if (known?.t === "done") return;
    if (known?.t === "undone") throw new ConnectError("it was called off before", Code.FailedPrecondition);
    if (known?.t === "refused" || !allowed()) {
      this.effects.set(key, { t: "refused" });
      throw new ConnectError("refused", Code.FailedPrecondition);
    }
    this.effects.set(key, { t: "done", amount });
    this.made.set(key, (this.made.get(key) ?? 0) + 1);
  }

  /** Gives what was undone now. */
  undo(key: string): number {
    const known = this.effects.get(key);
    this.effects.set(key, { t: "undone" });
    return known?.t === "done" ? known.amount : 0;
  }

  ask(key: string): "found" | "never" | "absent" {
    const known = this.effects.get(key);
    if (known === undefined) return "absent";
    return known.t === "done" ? "found" : "never";
  }
}

/** Inventory, payments and shipping, with what must be conserved. */
export class Participants {
  readonly reservations = new Ledger();
  readonly authorizations = new Ledger();
  readonly captures = new Ledger();
  readonly labels = new Ledger();
  available: number;
  charged = 0;

  constructor(stock: number) {
    this.available = stock;
  }

  reserve(key: string, quantity: number): void {
    const before = this.reservations.made.get(key) ?? 0;
    this.reservations.do(key, quantity, () => this.available >= quantity);
    if ((this.reservations.made.get(key) ?? 0) > before) this.available -= quantity;
  }

  release(key: string): void {
    this.available += this.reservations.undo(key);
  }

  authorize(key: string, amount: number, declines: boolean): void {
    this.authorizations.do(key, amount, () => !declines);
  }

  void(key: string): void {
    this.authorizations.undo(key);
  }

  capture(key: string, authorization: string, amount: number, refuses: boolean): void {
    const before = this.captures.made.get(key) ?? 0;
    this.captures.do(key, amount, () => !refuses && this.authorizations.ask(authorization) === "found");
    if ((this.captures.made.get(key) ?? 0) > before) this.charged += amount;
  }

  label(key: string): void {
    this.labels.do(key, 1, () => true);
  }
}
