import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

export const config = defineConfig({
  WEFT_OTLP_PORT: variable.port({ doc: "Port that takes traces (OTLP over HTTP).", default: 4318 }),
  WEFT_QUERY_PORT: variable.port({ doc: "Port of the trace page and of Jaeger's query API.", default: 16686 }),
  WEFT_TRACE_MEMORY: variable.bytes({ doc: "Memory for traces; beyond it the oldest go.", default: "64MiB" }),
  WEFT_OTLP_MAX_BODY: variable.bytes({ doc: "Largest request taken.", default: "4MiB" }),
  WEFT_OTLP_MAX_DECODED: variable.bytes({ doc: "Largest request taken, after decompression.", default: "16MiB" }),
});

export type TraceStoreConfig = ConfigOf<typeof config>;
