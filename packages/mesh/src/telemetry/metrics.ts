import type { Counter, Histogram, Meter } from "@opentelemetry/api";

/** The instruments of gRFC A66, by its names; durations in seconds, sizes in bytes. */
export interface CallInstruments {
  readonly clientAttemptStarted: Counter;
  readonly clientAttemptDuration: Histogram;
  readonly clientAttemptSent: Histogram;
  readonly clientAttemptReceived: Histogram;
  readonly clientCallDuration: Histogram;
  readonly serverCallStarted: Counter;
  readonly serverCallDuration: Histogram;
  readonly serverCallSent: Histogram;
  readonly serverCallReceived: Histogram;
}

/** Bucket boundaries that gRFC A66 sets for durations. Seconds. */
const durationBuckets = [
  0, 0.000_01, 0.000_05, 0.000_1, 0.000_3, 0.000_6, 0.000_8, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01,
  0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1, 2,
  5, 10, 20, 50, 100,
];

/** Bucket boundaries that gRFC A66 sets for sizes. Bytes. */
const sizeBuckets = [
  0, 1_024, 2_048, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864, 268_435_456,
  1_073_741_824, 4_294_967_296,
];

/** Makes each instrument once. */
export function createCallInstruments(meter: Meter): CallInstruments {
  const duration = (name: string, description: string): Histogram =>
    meter.createHistogram(name, { unit: "s", description, advice: { explicitBucketBoundaries: durationBuckets } });
  const size = (name: string, description: string): Histogram =>
    meter.createHistogram(name, { unit: "By", description, advice: { explicitBucketBoundaries: sizeBuckets } });
  return {
    clientAttemptStarted: meter.createCounter("grpc.client.attempt.started", {
      unit: "{attempt}",
      description: "Attempts started, retries included.",
    }),
    clientAttemptDuration: duration("grpc.client.attempt.duration", "From an attempt's start to its end."),
    clientAttemptSent: size(
      "grpc.client.attempt.sent_total_compressed_message_size",
      "Bytes of messages sent in one attempt.",
    ),
    clientAttemptReceived: size(
      "grpc.client.attempt.rcvd_total_compressed_message_size",
      "Bytes of messages received in one attempt.",
    ),
    clientCallDuration: duration("grpc.client.call.duration", "From a call's start to its end, all attempts included."),
    serverCallStarted: meter.createCounter("grpc.server.call.started", {
      unit: "{call}",
      description: "Calls that arrived.",
    }),
    serverCallDuration: duration("grpc.server.call.duration", "From a call's arrival to its end."),
    serverCallSent: size("grpc.server.call.sent_total_compressed_message_size", "Bytes of messages sent in one call."),
    serverCallReceived: size(
      "grpc.server.call.rcvd_total_compressed_message_size",
      "Bytes of messages received in one call.",
    ),
  };
}
