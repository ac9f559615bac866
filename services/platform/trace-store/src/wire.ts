import { metrics } from "@opentelemetry/api";
import type { Chassis } from "@weft/chassis";
import type { TraceStoreConfig } from "./config.js";
import { listenHttp } from "./http-server.js";
import { createInterner } from "./otlp/interner.js";
import { createReceiver } from "./otlp/receiver.js";
import type { Page } from "./page/load-page.js";
import { createQueryApi } from "./query/query-api.js";
import { createQueryServer } from "./query/query-server.js";
import { createTraceStore } from "./store/trace-store.js";

const maxInFlight = 64;

/** The ports that were bound. */
export interface BoundPorts {
  readonly otlp: number;
  readonly query: number;
}

/** Connects receiver, store and query API; `page` is read once, by who starts the process. */
export async function wire(chassis: Chassis<TraceStoreConfig>, page: Page): Promise<BoundPorts> {
  const { clock, config, logger, scope } = chassis;
  const store = createTraceStore({ maxBytes: config.WEFT_TRACE_MEMORY });
  const host = config.WEFT_BIND;
  const receiver = createReceiver({
    limits: { maxBytes: config.WEFT_OTLP_MAX_BODY, maxDecodedBytes: config.WEFT_OTLP_MAX_DECODED },
    maxInFlight,
    interner: createInterner(),
    keep: (span) => store.add(span),
  });
  const otlp = scope.use(await listenHttp({ host, port: config.WEFT_OTLP_PORT, respond: receiver }));
  const queries = createQueryServer({ page, api: createQueryApi(store, clock), logger });
  const query = scope.use(await listenHttp({ host, port: config.WEFT_QUERY_PORT, respond: queries }));
  chassis.onDrain("otlp", ({ timeoutMs }) => otlp.drain(timeoutMs));
  chassis.onDrain("query", ({ timeoutMs }) => query.drain(timeoutMs));
  chassis.describe("traces", () => ({ ...store.stats, maxBytes: config.WEFT_TRACE_MEMORY }));
  metrics
    .getMeter("@weft/service-trace-store")
    .createObservableGauge("weft.trace_store.size", { unit: "By", description: "Estimated memory of the kept traces." })
    .addCallback((result) => result.observe(store.stats.bytes));
  logger.info("serving traces", { otlp: otlp.port, query: query.port });
  return { otlp: otlp.port, query: query.port };
}
