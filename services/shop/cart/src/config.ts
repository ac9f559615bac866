import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** What the cart service reads from its environment, beside what every service does. */
export const cartConfig = defineConfig({
  DATABASE_URL: variable.secret({
    doc: "The carts' own database.",
    form: "a URL such as postgres://user:password@host:5432/cart",
    check: (text) => (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text) ? undefined : "is not a postgres:// URL"),
  }),
  WEFT_DATA_KEY: variable.secretKey({
    doc: "Key of remembered requests: their hashes, and replies that must not be readable.",
    bytes: 32,
  }),
});

export type CartConfig = ConfigOf<typeof cartConfig>;
