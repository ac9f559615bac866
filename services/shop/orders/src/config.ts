import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** What the order service reads from its environment, beside what every service does. */
export const ordersConfig = defineConfig({
  DATABASE_URL: variable.secret({
    doc: "The order service's own database.",
    form: "a URL such as postgres://user:password@host:5432/orders",
    check: (text) => (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text) ? undefined : "is not a postgres:// URL"),
  }),
  WEFT_DATA_KEY: variable.secretKey({
    doc: "Key of remembered requests: their hashes, and replies that must not be readable.",
    bytes: 32,
  }),
  CHALLENGE_TIMEOUT: variable.duration({
    doc: "How long an order waits for its owner to answer what the card's bank asks; then it is refused.",
    default: "10m",
  }),
});

export type OrdersConfig = ConfigOf<typeof ordersConfig>;
