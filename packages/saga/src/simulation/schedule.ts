import fc from "fast-check";

/** The steps that call a participant. */
export const remoteSteps = ["reserve", "authorize", "quote", "capture", "label"] as const;
export type RemoteStep = (typeof remoteSteps)[number];

export interface SimOrder {
  readonly quantity: number;
  readonly customer: number;
  readonly declines: boolean;
  readonly captureRefused: boolean;
  readonly cancelAtMs: number | undefined;
}

/** What goes wrong at a call: where the process or the participant fails, or what the network does. */
export const callFaults = [
  "crash before the call",
  "crash after the participant's commit",
  "crash after the answer",
  "participant fails before its commit",
  "participant fails after its commit",
  "turned away",
  "refused this once",
  "duplicate",
  "late answer",
  "late call",
  "database down",
  "paused",
] as const;

export type Fault =
  | {
      readonly t: "call";
      /** Which order, counted around. */
      readonly order: number;
      readonly step: RemoteStep;
      readonly kind: "run" | "compensate" | "ask";
      readonly nth: number;
      readonly what: (typeof callFaults)[number];
      readonly forMs: number;
    }
  /** At the so-many-th write of a process, in the order in which processes started. */
  | {
      readonly t: "write";
      readonly process: number;
      readonly nth: number;
      readonly what: "crash before" | "crash after" | "lost before" | "lost after";
    };

export interface Schedule {
  readonly stock: number;
  readonly orders: readonly SimOrder[];
  readonly faults: readonly Fault[];
}

const order: fc.Arbitrary<SimOrder> = fc.record({
  quantity: fc.integer({ min: 1, max: 2 }),
  customer: fc.integer({ min: 0, max: 1 }),
  declines: fc.integer({ min: 0, max: 5 }).map((n) => n === 5),
  captureRefused: fc.integer({ min: 0, max: 7 }).map((n) => n === 7),
  cancelAtMs: fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 400 }) },
  ),
});

const callFault: fc.Arbitrary<Fault> = fc.record({
  t: fc.constant("call" as const),
  order: fc.integer({ min: 0, max: 2 }),
  step: fc.constantFrom(...remoteSteps),
  kind: fc.oneof(
    { weight: 5, arbitrary: fc.constant("run" as const) },
    { weight: 2, arbitrary: fc.constant("compensate" as const) },
    { weight: 1, arbitrary: fc.constant("ask" as const) },
  ),
  nth: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 }) }),
  what: fc.constantFrom(...callFaults),
  forMs: fc.integer({ min: 10, max: 3_000 }),
});

const writeFault: fc.Arbitrary<Fault> = fc.record({
  t: fc.constant("write" as const),
  process: fc.integer({ min: 0, max: 2 }),
  nth: fc.integer({ min: 0, max: 15 }),
  what: fc.constantFrom("crash before" as const, "crash after" as const, "lost before" as const, "lost after" as const),
});

const fault: fc.Arbitrary<Fault> = fc.oneof({ weight: 3, arbitrary: callFault }, { weight: 1, arbitrary: writeFault });

/** Any shop, any orders, any few faults; without the usual liking for few and small. */
export const anySchedule: fc.Arbitrary<Schedule> = fc.noBias(
  fc.record({
    stock: fc.integer({ min: 0, max: 5 }),
    orders: fc.array(order, { minLength: 1, maxLength: 3, size: "max" }),
    faults: fc.oneof(
      { weight: 1, arbitrary: fc.array(fault, { minLength: 1, maxLength: 3 }) },
      { weight: 3, arbitrary: fc.array(fault, { minLength: 6, maxLength: 12 }) },
    ),
  }),
);
