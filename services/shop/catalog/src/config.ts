import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** What the catalog reads from its environment, beside what every service does. */
export const catalogConfig = defineConfig({
  DATABASE_URL: variable.secret({
    doc: "The catalog's own database.",
    form: "a URL such as postgres://user:password@host:5432/catalog",
    check: (text) => (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text) ? undefined : "is not a postgres:// URL"),
  }),
  WEFT_DATA_KEY: variable.secretKey({
    doc: "Key of the service's stored secrets; the catalog has none yet.",
    bytes: 32,
  }),
});

export type CatalogConfig = ConfigOf<typeof catalogConfig>;
