import type { ConfigValues } from "./table.js";
import { variable } from "./variable.js";

/** The variables that every Weft process reads. */
export const chassisTable = {
  WEFT_BIND: variable.string({ doc: "Address that the service and admin ports bind.", default: "0.0.0.0" }),
  WEFT_PORT: variable.port({ doc: "Port that the service is served on.", default: 8080 }),
  WEFT_ADMIN_PORT: variable.port({ doc: "Port of /livez, /readyz and /metrics.", default: 9464 }),
  WEFT_DEBUG_SOCKET: variable.optional(
    variable.string({ doc: "UNIX socket of the debug handler; without it, 127.0.0.1 and WEFT_DEBUG_PORT." }),
  ),
  WEFT_DEBUG_PORT: variable.port({ doc: "Loopback port of the debug handler.", default: 9465 }),
  WEFT_CONTROL_PLANE: variable.hostPort({
    doc: "Where the mesh config comes from.",
    default: "control-plane.weft:15010",
  }),
  WEFT_SNAPSHOT_DIR: variable.string({
    doc: "Memory volume that keeps the last mesh config for a restart.",
    default: "/var/run/weft",
  }),
  WEFT_POLICY_RETRIES: variable.boolean({
    doc: "Whether idempotent calls that ended UNAVAILABLE are tried again; calls that no server began always are.",
    default: true,
  }),
  WEFT_DRAIN_DELAY: variable.duration({
    doc: "How long to serve on after SIGTERM, while readiness is withdrawn.",
    default: "5s",
  }),
  WEFT_DRAIN_TIMEOUT: variable.duration({ doc: "How long calls in flight may take after that.", default: "20s" }),
  WEFT_VERSION: variable.string({ doc: "Version of the service, in telemetry and /config.", default: "dev" }),
  POD_NAME: variable.string({ doc: "Name of the Pod (downward API).", default: "local" }),
  POD_NAMESPACE: variable.string({ doc: "Namespace of the Pod (downward API).", default: "default" }),
  POD_IP: variable.optional(variable.string({ doc: "Address of the Pod (downward API)." })),
  NODE_NAME: variable.optional(variable.string({ doc: "Node of the Pod (downward API)." })),
  LOG_LEVEL: variable.oneOf(["debug", "info", "warn", "error"], {
    doc: "Least level that is logged.",
    default: "info",
  }),
  OTEL_SERVICE_NAME: variable.string({ doc: "Name of the service in telemetry.", default: "weft" }),
  OTEL_EXPORTER_OTLP_ENDPOINT: variable.url({
    doc: "Where traces go.",
    default: "http://otlp.weft:4318",
    protocols: ["http:", "https:"],
  }),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: variable.optional(
    variable.url({
      doc: "Where traces go, as the whole URL; wins over the line above.",
      protocols: ["http:", "https:"],
    }),
  ),
  OTEL_EXPORTER_OTLP_PROTOCOL: variable.oneOf(["http/protobuf"], {
    doc: "Protocol of the trace exporter.",
    default: "http/protobuf",
  }),
  OTEL_TRACES_EXPORTER: variable.oneOf(["otlp", "none"], { doc: "Whether traces are exported.", default: "otlp" }),
  OTEL_BSP_SCHEDULE_DELAY: variable.int({ doc: "Milliseconds between two batches of spans.", default: 1_000, min: 1 }),
  OTEL_SDK_DISABLED: variable.boolean({ doc: "Turns traces and metrics off.", default: false }),
} as const;

/** The values of the variables that every Weft process reads, by their names; durations in milliseconds. */
export type ChassisConfig = ConfigValues<typeof chassisTable>;
