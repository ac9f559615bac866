import type { Migration } from "@weft/store";
import { seedProducts } from "./seed-products.js";

/** The catalog's schema, step by step. A released step never changes. */
export const migrations: readonly Migration[] = [
  {
    name: "0001-products",
    sql: `
      CREATE TABLE products (
        product_id text PRIMARY KEY,
        name text NOT NULL,
        description text NOT NULL,
        category text NOT NULL,
        weight_grams integer NOT NULL CHECK (weight_grams > 0),
        search_text text NOT NULL GENERATED ALWAYS AS (lower(name || ' ' || category || ' ' || description)) STORED
      );
      CREATE INDEX products_by_category ON products (category, product_id);
      CREATE TABLE prices (
        product_id text NOT NULL REFERENCES products ON DELETE CASCADE,
        currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        minor_units bigint NOT NULL CHECK (minor_units >= 0),
        PRIMARY KEY (product_id, currency)
      );
    `,
  },
  {
    name: "0002-first-products",
    sql: `
      INSERT INTO products (product_id, name, description, category, weight_grams) VALUES
        ${seedProducts.map((p) => `(${[p.id, p.name, p.description, p.category].map(literal).join(", ")}, ${p.grams})`).join(",\n")};
      INSERT INTO prices (product_id, currency, minor_units) VALUES
        ${seedProducts.map((p) => `(${literal(p.id)}, 'EUR', ${p.eur}), (${literal(p.id)}, 'USD', ${p.usd})`).join(",\n")};
    `,
  },
];

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
