import { type Counter, type Histogram, type Meter, type ObservableGauge, ValueType } from "@opentelemetry/api";

/** What is measured of sagas; durations in seconds. */
export interface SagaInstruments {
  /** By `saga` and `version`. */
  readonly started: Counter;
  /** By `saga`, `version` and `outcome` (completed, compensated, parked); from the start on. */
  readonly duration: Histogram;
  /** By `saga`, `step`, `kind` (run, ask, compensate) and `outcome` (done, refused, transient, unknown). */
  readonly attempts: Histogram;
  /** By `saga` and `reason` (lease expired, given back): sagas taken over from another worker. */
  readonly takenOver: Counter;
  /** Writes that were refused because the lease was another's. */
  readonly fenced: Counter;
  /** By `alarm` (parked, unknown-version), `saga` and `version`. */
  readonly alarms: ObservableGauge;
  /** Sagas that have not ended, by `saga`, `version` and `state`: old versions drain to 0. */
  readonly open: ObservableGauge;
}

const seconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1_800, 3_600];

export function createSagaInstruments(meter: Meter): SagaInstruments {
  const histogram = (name: string, description: string): Histogram =>
    meter.createHistogram(name, { unit: "s", description, advice: { explicitBucketBoundaries: seconds } });
  return {
    started: meter.createCounter("weft.saga.started", { unit: "{saga}", description: "Sagas started." }),
    duration: histogram("weft.saga.duration", "From a saga's start to its end, or to where it parked."),
    attempts: histogram("weft.saga.step.attempt.duration", "Attempts of steps, of look-ups and of compensations."),
    takenOver: meter.createCounter("weft.saga.taken_over", {
      unit: "{saga}",
      description: "Sagas taken over from another worker.",
    }),
    fenced: meter.createCounter("weft.saga.fenced", {
      unit: "{write}",
      description: "Writes refused because the lease was lost.",
    }),
    alarms: meter.createObservableGauge("weft.saga.alarm", {
      unit: "{saga}",
      valueType: ValueType.INT,
      description: "Sagas that need a person.",
    }),
    open: meter.createObservableGauge("weft.saga.open", {
      unit: "{saga}",
      valueType: ValueType.INT,
      description: "Sagas that have not ended.",
    }),
  };
}
