import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** What the gateway reads from its environment, beside what every service does. */
export const gatewayConfig = defineConfig({
  WEFT_GATEWAY_ORIGINS: variable.list({
    doc: "Origins of the pages that may call, such as https://shop.example; * for all.",
    default: "",
  }),
  WEFT_GATEWAY_TARGETS: variable.list({
    doc: "Where proto services are that are not where the rule says, such as shop.orders.v1.OrderService=orders-next.shop.",
    default: "",
  }),
  WEFT_GATEWAY_MAX_BODY: variable.bytes({ doc: "The largest request message, decompressed.", default: "1MiB" }),
  WEFT_GATEWAY_MAX_HEADERS: variable.bytes({
    doc: "The most that the headers of a request may hold.",
    default: "16KiB",
  }),
  WEFT_GATEWAY_MAX_CALLS: variable.int({ doc: "Calls at one time.", default: 512, min: 1 }),
  WEFT_GATEWAY_MAX_STREAMS: variable.int({ doc: "Streams among those calls.", default: 256, min: 1 }),
  WEFT_GATEWAY_MAX_CONNECTIONS: variable.int({ doc: "Connections at one time.", default: 1024, min: 1 }),
  WEFT_GATEWAY_READ_TIMEOUT: variable.duration({ doc: "How long a request may take to arrive.", default: "10s" }),
  WEFT_GATEWAY_TIMEOUT: variable.duration({ doc: "The longest a call with one reply may take.", default: "15s" }),
  WEFT_GATEWAY_STREAM_TIMEOUT: variable.duration({ doc: "The longest a stream may take.", default: "15m" }),
});

export type GatewayConfig = ConfigOf<typeof gatewayConfig>;
