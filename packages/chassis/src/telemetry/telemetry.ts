import { randomUUID } from "node:crypto";
import { metrics } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { type Clock, type Logger, sleep } from "@weft/foundation";
import type { ProcessIdentity } from "../chassis.js";
import type { ChassisConfig } from "../config/chassis-table.js";
import type { Redactor } from "../redaction/redactor.js";
import { observeRuntime } from "./runtime-metrics.js";
import { safeExporter } from "./safe-exporter.js";

/** How long the last spans may take to leave at a stop. */
const flushMs = 1_500;

/** The telemetry of a process. Dispose: sends what is left, for a second and a half at most. */
export interface Telemetry extends AsyncDisposable {
  /** All metrics in Prometheus' text format. */
  metricsText(): Promise<string>;
}

export interface TelemetryOptions {
  readonly config: ChassisConfig;
  readonly identity: ProcessIdentity;
  readonly redactor: Redactor;
  readonly logger: Logger;
  readonly clock: Clock;
  /** False in a process that must not trace: it would send spans to itself. */
  readonly tracing: boolean;
}

/**
 * Starts OpenTelemetry for this process, by the `OTEL_` variables: traces as OTLP in batches, metrics when asked for.
 * It registers itself as the process' one, so the libraries that only know @opentelemetry/api find it.
 */
export function startTelemetry(options: TelemetryOptions): Telemetry {
  const { config, redactor, logger } = options;
  if (config.OTEL_SDK_DISABLED) return { metricsText: async () => "", async [Symbol.asyncDispose]() {} };
  const reader = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer();
  const tracing = options.tracing && config.OTEL_TRACES_EXPORTER === "otlp";
  const sdk = new NodeSDK({
    resource: resourceOf(options.identity),
    resourceDetectors: [envDetector],
    serviceName: options.identity.service,
    metricReaders: [reader],
    logRecordProcessors: [],
    spanProcessors: tracing ? [batches(config, redactor, logger)] : [],
  });
  sdk.start();
  const runtime = observeRuntime(metrics.getMeter("@weft/chassis"), options.clock);
  let stopped: Promise<void> | undefined;
  return {
    async metricsText() {
      const { resourceMetrics, errors } = await reader.collect();
      if (errors.length > 0) logger.warn("some metrics can't be read", { errors });
      return withoutCardsInLabels(serializer.serialize(resourceMetrics), redactor);
    },
    [Symbol.asyncDispose]() {
      runtime[Symbol.dispose]();
      stopped ??= stopWithin(sdk, options.clock, logger);
      return stopped;
    },
  };
}

function batches(config: ChassisConfig, redactor: Redactor, logger: Logger): BatchSpanProcessor {
  const url =
    config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT?.href ??
    `${config.OTEL_EXPORTER_OTLP_ENDPOINT.href.replace(/\/$/, "")}/v1/traces`;
  return new BatchSpanProcessor(safeExporter(new OTLPTraceExporter({ url }), { redactor, logger }), {
    scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
  });
}

function resourceOf(identity: ProcessIdentity): ReturnType<typeof defaultResource> {
  return defaultResource().merge(
    resourceFromAttributes({
      "service.namespace": identity.namespace,
      "service.version": identity.version,
      "service.instance.id": randomUUID(),
      "k8s.namespace.name": identity.namespace,
      "k8s.pod.name": identity.pod,
      ...(identity.podIp === undefined ? {} : { "k8s.pod.ip": identity.podIp }),
      ...(identity.node === undefined ? {} : { "k8s.node.name": identity.node }),
    }),
  );
}

async function stopWithin(sdk: NodeSDK, clock: Clock, logger: Logger): Promise<void> {
  const enough = new AbortController();
  const stopping = sdk.shutdown().catch((error: unknown) => logger.warn("telemetry did not stop cleanly", { error }));
  const limit = sleep(flushMs, { clock, signal: enough.signal }).catch(() => {
    // Called off: the flush was in time.
  });
  await Promise.race([stopping, limit]);
  enough.abort();
}

/** Label values are text from anywhere; what stands outside the quotes are names and numbers of ours. */
function withoutCardsInLabels(text: string, redactor: Redactor): string {
  return text.replace(/"(?:[^"\\\n]|\\.)*"/g, (quoted) => {
    const inner = quoted.slice(1, -1);
    const safe = inner.length < 13 ? inner : redactor.text(inner);
    return safe === inner ? quoted : `"${safe}"`;
  });
}
