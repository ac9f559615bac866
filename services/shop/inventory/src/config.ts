import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** What the inventory reads from its environment, beside what every service does. */
export const inventoryConfig = defineConfig({
  DATABASE_URL: variable.secret({
    doc: "The inventory's own database.",
    form: "a URL such as postgres://user:password@host:5432/inventory",
    check: (text) => (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text) ? undefined : "is not a postgres:// URL"),
  }),
  WEFT_DATA_KEY: variable.secretKey({
    doc: "Key of remembered requests: their hashes, and replies that must not be readable.",
    bytes: 32,
  }),
  HOLD_LAPSES_AFTER: variable.duration({
    doc: "How long stock is held for somebody who neither commits nor releases it: longer than any order takes.",
    default: "7d",
  }),
  TOMBSTONE_RETENTION: variable.duration({
    doc: "How long a key stays forbidden that was released before it was used: longer than any call can be late.",
    default: "30d",
  }),
});

export type InventoryConfig = ConfigOf<typeof inventoryConfig>;
