import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** Items separated by commas, or nothing at all. */
function listOf(item: RegExp): RegExp {
  return new RegExp(`^(?:(?:${item.source})(?:,(?:${item.source}))*)?$`);
}

/** What the gateway reads from its environment, beside what every service does. */
export const gatewayConfig = defineConfig({
  WEFT_GATEWAY_ORIGINS: variable.string({
    doc: "The pages that may call; * for all.",
    form: "origins such as https://shop.example separated by commas, or nothing",
    pattern: listOf(/\*|https?:\/\/[^\s,/]+/),
    default: "",
  }),
  WEFT_GATEWAY_TARGETS: variable.string({
    doc: "Where proto services are that are not where the rule says.",
    form: "pairs such as shop.orders.v1.OrderService=orders-next.shop separated by commas, or nothing",
    pattern: listOf(/[\w.]+=[\w.:-]+/),
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

/** The items of a variable that lists them. */
export function itemsOf(text: string): readonly string[] {
  return text === "" ? [] : text.split(",");
}
