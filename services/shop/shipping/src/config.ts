import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** What shipping reads from its environment, beside what every service does. */
export const shippingConfig = defineConfig({
  DATABASE_URL: variable.secret({
    doc: "Shipping's own database.",
    form: "a URL such as postgres://user:password@host:5432/shipping",
    check: (text) => (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text) ? undefined : "is not a postgres:// URL"),
  }),
  WEFT_DATA_KEY: variable.secretKey({
    doc: "Key of remembered requests: their hashes, and replies that must not be readable.",
    bytes: 32,
  }),
  CARRIER_PICKUP_AFTER: variable.duration({
    doc: "How long after its label was made the simulated carrier picks a shipment up; 0 leaves that to RecordScan.",
    default: "30m",
  }),
  TOMBSTONE_RETENTION: variable.duration({
    doc: "How long a key stays forbidden that was cancelled before it was used: longer than any call can be late.",
    default: "30d",
  }),
});

export type ShippingConfig = ConfigOf<typeof shippingConfig>;
