import { Code, type ConnectError } from "@connectrpc/connect";
import { Histogram } from "./histogram.js";

/** How a call ended, as whoever waited for it sees it. */
export type Ending =
  | { readonly t: "ok" }
  /** The shop said no, and may: sold out, declined, too late. */
  | { readonly t: "refused"; readonly code: Code }
  /** It should not have happened. */
  | { readonly t: "failed"; readonly code: Code; readonly said: string; readonly traceId: string };

export interface MethodCounts {
  readonly calls: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** One way in which calls of a method ended badly. */
export interface EndingCounts {
  readonly method: string;
  readonly code: string;
  readonly t: "refused" | "failed";
  readonly count: number;
  /** What the last such failure said, without secrets. */
  readonly said: string;
  /** Its trace; empty when the answer named none. */
  readonly traceId: string;
}

/** What a run has seen so far. */
export interface Tally {
  readonly all: MethodCounts;
  readonly methods: ReadonlyMap<string, MethodCounts>;
  readonly endings: readonly EndingCounts[];
  /** Orders by the state in which they were last seen. */
  readonly orders: ReadonlyMap<string, number>;
  readonly visits: number;
  /** People who would have come while everybody was still in the shop: a sign that it is slow. */
  readonly turnedAway: number;
}

interface MethodEntry {
  readonly total: Histogram;
  failed: number;
  readonly endings: Map<string, { t: "refused" | "failed"; count: number; said: string; traceId: string }>;
}

/** Keeps count of a run in memory that does not grow with it. */
export interface Ledger {
  call(method: string, latencyMs: number, ending: Ending): void;
  order(state: string): void;
  visit(): void;
  turnAway(): void;
  tally(): Tally;
  /** The calls since this was last asked. */
  takeWindow(): MethodCounts;
}

export function createLedger(): Ledger {
  const methods = new Map<string, MethodEntry>();
  const orders = new Map<string, number>();
  const window = new Histogram();
  let windowFailed = 0;
  let visits = 0;
  let turnedAway = 0;

  const entryOf = (method: string): MethodEntry => {
    const known = methods.get(method);
    if (known !== undefined) return known;
    const made = { total: new Histogram(), failed: 0, endings: new Map() };
    methods.set(method, made);
    return made;
  };

  return {
    call(method, latencyMs, ending) {
      const entry = entryOf(method);
      entry.total.record(latencyMs);
      window.record(latencyMs);
      if (ending.t === "ok") return;
      if (ending.t === "failed") {
        entry.failed += 1;
        windowFailed += 1;
      }
      const key = `${ending.t} ${ending.code}`;
      const counted = entry.endings.get(key) ?? { t: ending.t, count: 0, said: "", traceId: "" };
      counted.count += 1;
      if (ending.t === "failed") {
        counted.said = ending.said;
        counted.traceId = ending.traceId;
      }
      entry.endings.set(key, counted);
    },
    order: (state) => void orders.set(state, (orders.get(state) ?? 0) + 1),
    visit() {
      visits += 1;
    },
    turnAway() {
      turnedAway += 1;
    },
    tally() {
      const whole = new Histogram();
      let failed = 0;
      for (const entry of methods.values()) {
        whole.add(entry.total);
        failed += entry.failed;
      }
      const names = [...methods.keys()].sort();
      const sorted = names.map((name) => [name, entryOf(name)] as const);
      return {
        all: countsOf(whole, failed),
        methods: new Map(sorted.map(([name, entry]) => [name, countsOf(entry.total, entry.failed)])),
        endings: sorted.flatMap(([method, entry]) =>
          [...entry.endings].map(([key, ending]) => ({ ...ending, method, code: codeName(Number(key.split(" ")[1])) })),
        ),
        orders: new Map([...orders].sort()),
        visits,
        turnedAway,
      };
    },
    takeWindow() {
      const counts = countsOf(window, windowFailed);
      window.clear();
      windowFailed = 0;
      return counts;
    },
  };
}

function countsOf(histogram: Histogram, failed: number): MethodCounts {
  return {
    calls: histogram.count,
    failed,
    p50Ms: histogram.quantileMs(0.5),
    p95Ms: histogram.quantileMs(0.95),
    p99Ms: histogram.quantileMs(0.99),
    maxMs: histogram.maxMs,
  };
}

/** A code as gRPC writes it: `FAILED_PRECONDITION`. */
export function codeName(code: Code): string {
  return (Code[code] ?? "Unknown").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

/** Answers with which a shop that works turns somebody away. */
const refusals: ReadonlyMap<string, readonly Code[]> = new Map([
  ["OrderService/PlaceOrder", [Code.FailedPrecondition]],
  ["OrderService/Checkout", [Code.FailedPrecondition]],
  ["OrderService/CancelOrder", [Code.FailedPrecondition]],
  ["OrderService/AnswerChallenge", [Code.FailedPrecondition]],
  ["OrderService/RefundOrder", [Code.FailedPrecondition]],
  // A cart may change, be emptied or be full between two looks at it: its owner has it open elsewhere too.
  ["CartService/AddItem", [Code.FailedPrecondition]],
  ["CartService/SetQuantity", [Code.FailedPrecondition, Code.NotFound]],
  ["CartService/RemoveItem", [Code.FailedPrecondition]],
  ["CartService/PrepareCheckout", [Code.FailedPrecondition]],
  ["CartService/ClearCart", [Code.FailedPrecondition]],
  // As long as everybody at the gateway is one user, the cart that was filled elsewhere is one's own.
  ["CartService/MergeCart", [Code.FailedPrecondition, Code.NotFound, Code.InvalidArgument]],
]);

/** What an error is to whoever made the call. */
export function endingOf(method: string, error: ConnectError): Ending {
  if (refusals.get(method)?.includes(error.code) === true) return { t: "refused", code: error.code };
  return {
    t: "failed",
    code: error.code,
    said: withoutSecrets(error.rawMessage),
    traceId: error.metadata.get("weft-trace-id") ?? "",
  };
}

/** A message without digits that could be a card's, and without words that could be a token. */
export function withoutSecrets(message: string): string {
  return message
    .replace(/[\w-]{20,}/g, (word) => (/\d/.test(word) ? "…" : word))
    .replace(/\d(?:[ -]?\d){11,}/g, "…")
    .slice(0, 200);
}
