import { type Meter, metrics, ValueType } from "@opentelemetry/api";
import { type Clock, type Logger, sleep } from "@weft/foundation";
import type { PaymentDesk } from "./desk.js";
import { isOpen, type Payment } from "./domain.js";
import type { OpenCount, OpenRefund, PaymentStore } from "./store.js";

export interface SettlerParts {
  readonly store: PaymentStore;
  readonly desk: Pick<PaymentDesk, "carryOn" | "carryOnRefund">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How often to look for deeds that are due. */
  readonly everyMs: number;
  /** A deed that is open for longer raises the alarm. */
  readonly alarmAfterMs: number;
  /** An authorization that is undecided for longer is voided. */
  readonly abandonAfterMs: number;
  /** How long a key stays forbidden that was undone before it was used. */
  readonly tombstonesMs: number;
  readonly meter?: Meter;
}

/**
 * Settles what nobody asks about again: payments that are pending, challenged, capturing or voiding, and refunds that are pending, because whoever
 * asked has died. Any replica does it; what one has taken is due again by itself, later each time.
 */
export interface Settler {
  /** Settles until the signal aborts. */
  work(signal: AbortSignal): Promise<void>;
  /** Takes what is due once; gives how many deeds that were. */
  settleDue(signal: AbortSignal): Promise<number>;
  /** Counts what is open and raises the alarm for what is too old; gives how many kinds of deeds are. */
  observe(signal: AbortSignal): Promise<number>;
  /** Forgets keys that were forbidden too long ago to matter. */
  prune(signal: AbortSignal): Promise<void>;
}

const atOnce = 20;
const observeEveryMs = 15_000;
const pruneEveryMs = 10 * 60_000;

export function createSettler(parts: SettlerParts): Settler {
  const { store, desk, clock, logger, everyMs, alarmAfterMs, abandonAfterMs, tombstonesMs } = parts;
  const meter = parts.meter ?? metrics.getMeter("payments");
  const settled = meter.createCounter("shop.payments.settled", {
    unit: "{deed}",
    description: "Deeds that were asked about on nobody's behalf, by deed and outcome (settled, open, failed).",
  });
  const gauge = (name: string, unit: string, description: string) =>
    meter.createObservableGauge(name, { unit, valueType: ValueType.INT, description });
  let open: readonly OpenCount[] = [];
  gauge("shop.payments.open", "{deed}", "Deeds whose outcome is not known, by deed.").addCallback((result) => {
    for (const { deed, count } of open) result.observe(count, { deed });
  });
  gauge("shop.payments.open.oldest", "s", "How long the oldest open deed is, by deed.").addCallback((result) => {
    for (const { deed, oldestMs } of open) result.observe(Math.round(oldestMs / 1_000), { deed });
  });
  gauge("shop.payments.alarm", "{deed}", "Kinds of deeds of which one is open for too long.").addCallback((result) =>
    result.observe(tooOld().length),
  );
  let alarmed = 0;

  const tooOld = (): readonly OpenCount[] => open.filter(({ oldestMs }) => oldestMs > alarmAfterMs);

  const settle = async (payment: Payment, openMs: number, signal: AbortSignal): Promise<void> => {
    const deed = payment.state;
    const { paymentId } = payment;
    try {
      const after = await desk.carryOn(payment, { abandon: openMs > abandonAfterMs, bounds: { signal } });
      settled.add(1, { deed, outcome: isOpen(after) ? "open" : "settled" });
      if (!isOpen(after))
        logger.info("a payment that nobody asked about is settled", { paymentId, deed, now: after.state });
    } catch (error) {
      settled.add(1, { deed, outcome: "failed" });
      if (!signal.aborted)
        logger.warn("a payment could not be settled: it is due again later", { paymentId, deed, error });
    }
  };

  const settleRefund = async ({ refund, principal }: OpenRefund, signal: AbortSignal): Promise<void> => {
    const { refundId } = refund;
    try {
      await desk.carryOnRefund({ principal, bounds: { signal } }, refund);
      settled.add(1, { deed: "refunding", outcome: "settled" });
      logger.info("a refund that nobody asked about is settled", { refundId });
    } catch (error) {
      settled.add(1, { deed: "refunding", outcome: "failed" });
      if (!signal.aborted) logger.warn("a refund could not be settled: it is due again later", { refundId, error });
    }
  };

  const settleDue = async (signal: AbortSignal): Promise<number> => {
    const { payments, refunds } = await store.takeOpen(atOnce, { signal });
    await Promise.all([
      ...payments.map(({ payment, openMs }) => settle(payment, openMs, signal)),
      ...refunds.map((refund) => settleRefund(refund, signal)),
    ]);
    return payments.length + refunds.length;
  };

  const observe = async (signal: AbortSignal): Promise<number> => {
    open = await store.countOpen({ signal });
    const old = tooOld();
    if (old.length > alarmed) logger.error("payments need attention: deeds are open for too long", { deeds: old });
    alarmed = old.length;
    return old.length;
  };

  const prune = async (signal: AbortSignal): Promise<void> => {
    for (let gone = 1_000; gone === 1_000 && !signal.aborted; )
      gone = await store.pruneForbidden(tombstonesMs, { signal });
  };

  /** Does something again and again. A failure is the database's or the provider's, and the next round's to try again. */
  const repeat = async (
    restMs: number,
    what: string,
    work: (signal: AbortSignal) => Promise<unknown>,
    signal: AbortSignal,
  ) => {
    while (!signal.aborted) {
      try {
        const done = await work(signal);
        // More may be due.
        if (Number(done) >= atOnce) continue;
      } catch (error) {
        if (!signal.aborted) logger.warn("background work failed: the next round tries again", { what, error });
      }
      // Aborted: the loop's condition ends it.
      await sleep(restMs, { clock, signal }).catch(() => {});
    }
  };

  return {
    settleDue,
    observe,
    prune,
    async work(signal) {
      await Promise.all([
        repeat(everyMs, "settling", settleDue, signal),
        repeat(observeEveryMs, "counting", observe, signal),
        repeat(pruneEveryMs, "pruning", prune, signal),
      ]);
    },
  };
}
