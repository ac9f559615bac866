import { setMaxListeners } from "node:events";
import { type Clock, sleep, systemClock } from "@weft/foundation";
import type { Ledger } from "./ledger.js";
import { exponential, seededRandom } from "./random.js";
import { createShopClient } from "./shop-client.js";
import type { TestCard } from "./test-cards.js";
import { callsOf, planOf } from "./visit-plan.js";
import { type Memory, visit } from "./visitor.js";

export interface LoadOptions {
  readonly gatewayUrl: string;
  /** Calls each second, over the long run. */
  readonly perSecond: number;
  /** How many people there are; each is in the shop once at a time. */
  readonly users: number;
  readonly durationMs: number;
  readonly seed: number;
  readonly cards: readonly TestCard[];
  readonly ledger: Ledger;
  /** Ends the run early. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** Told how many people are in the shop whenever that changes. */
  readonly onPresence?: (present: number) => void;
}

/** How many visits a run's pace is reckoned from. */
const sampleVisits = 2_000;
/** Nobody thinks longer than that on average, however many users there are. */
const longestMeanPauseMs = 4_000;
/** How much of the time a user is in the shop, so that there is somebody left when many come at once. */
const presence = 0.5;
/** What is under way at the end has so long to end by itself. */
const graceMs = 10_000;

/** How often people come and how long they think, for a number of calls each second. */
export function paceOf(options: { readonly perSecond: number; readonly users: number; readonly seed: number }): {
  readonly visitsPerSecond: number;
  readonly meanPauseMs: number;
} {
  let calls = 0;
  let pauses = 0;
  for (let visitor = 0; visitor < sampleVisits; visitor++) {
    for (const { deed, pause } of planOf(options.seed, visitor)) {
      calls += callsOf(deed);
      pauses += pause;
    }
  }
  const visitsPerSecond = options.perSecond / (calls / sampleVisits);
  const stayMs = (presence * options.users * 1_000) / visitsPerSecond;
  return { visitsPerSecond, meanPauseMs: Math.min(longestMeanPauseMs, stayMs / (pauses / sampleVisits)) };
}

/**
 * Lets people come into the shop at random moments that do not depend on how fast it answers (an open arrival process), each to go through a plan of
 * their own. Who would come while all users are inside is turned away, and counted. Resolves when the time is over and everybody has left.
 */
export async function runLoad(options: LoadOptions): Promise<void> {
  const { clock = systemClock, ledger, seed, users, signal } = options;
  const { visitsPerSecond, meanPauseMs } = paceOf(options);
  using shop = createShopClient({ gatewayUrl: options.gatewayUrl, ledger, clock });
  const stopping = new AbortController();
  const aborting = new AbortController();
  // Everybody inside waits for these.
  setMaxListeners(0, stopping.signal, aborting.signal);
  const stop = (): void => stopping.abort(new Error("the load run ends"));
  using _end = clock.after(options.durationMs, stop);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();

  const support = {
    shop,
    ledger,
    clock,
    cards: options.cards,
    meanPauseMs,
    stop: stopping.signal,
    abort: aborting.signal,
  };
  const idle: Memory[] = Array.from({ length: users }, () => ({ orderIds: [] }));
  const inside = new Set<Promise<void>>();
  const broken: unknown[] = [];
  const letIn = (visitor: number): void => {
    // The one who has been away for longest.
    const memory = idle.shift();
    if (memory === undefined) {
      ledger.turnAway();
      return;
    }
    const random = seededRandom(seed, visitor, 1);
    const stay: Promise<void> = visit(support, planOf(seed, visitor), { memory, random })
      .catch((error: unknown) => {
        broken.push(error);
        stop();
      })
      .finally(() => {
        idle.push(memory);
        inside.delete(stay);
        options.onPresence?.(inside.size);
      });
    inside.add(stay);
    options.onPresence?.(inside.size);
  };

  const arrivals = seededRandom(seed);
  let dueMs = clock.nowMs();
  for (let visitor = 0; !stopping.signal.aborted; visitor++) {
    dueMs += exponential(arrivals, 1_000 / visitsPerSecond);
    try {
      await sleep(Math.max(0, dueMs - clock.nowMs()), { clock, signal: stopping.signal });
    } catch {
      // The time is over.
      break;
    }
    letIn(visitor);
  }
  signal.removeEventListener("abort", stop);
  using _grace = clock.after(graceMs, () => aborting.abort(new Error("the load run is over")));
  await Promise.all(inside);
  if (broken.length > 0) throw broken[0];
}
