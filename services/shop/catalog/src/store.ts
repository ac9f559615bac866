import { type CallBounds, column, type Database, type Row } from "@weft/store";
import type { Hit, Price, Product } from "./domain.js";

/** The catalog's products in Postgres. */
export interface ProductStore {
  /** The products that exist, in the order of the ids. */
  find(productIds: readonly string[], bounds: CallBounds): Promise<readonly Product[]>;
  /** At most `limit` products by id, after `after`, of one category or of all. */
  list(
    page: { readonly limit: number; readonly after: string | undefined; readonly category: string },
    bounds: CallBounds,
  ): Promise<readonly Product[]>;
  /** At most `limit` products that hold every word, the best first. */
  search(words: readonly string[], limit: number, bounds: CallBounds): Promise<readonly Hit[]>;
}

const columns = `
  p.product_id, p.name, p.description, p.category, p.weight_grams,
  (SELECT jsonb_agg(jsonb_build_object('currency', currency, 'minorUnits', minor_units::text) ORDER BY currency)
     FROM prices WHERE prices.product_id = p.product_id) AS prices`;

/** A store on a database that has the catalog's migrations. */
export function createProductStore(database: Database): ProductStore {
  return {
    async find(productIds, bounds) {
      const rows = await database.query(
        `SELECT ${columns} FROM unnest($1::text[]) WITH ORDINALITY AS asked (product_id, place)
         JOIN products p USING (product_id) ORDER BY asked.place`,
        [productIds],
        bounds,
      );
      return rows.map(fromProductRow);
    },

    async list({ limit, after, category }, bounds) {
      const rows = await database.query(
        `SELECT ${columns} FROM products p
         WHERE p.product_id > $1 AND ($2 = '' OR p.category = $2) ORDER BY p.product_id LIMIT $3`,
        [after ?? "", category, limit],
        bounds,
      );
      return rows.map(fromProductRow);
    },

    async search(words, limit, bounds) {
      // A word that begins the name counts most, then one in the name, the category, the description.
      const rows = await database.query(
        `SELECT ${columns}, fit.score FROM products p
         CROSS JOIN LATERAL (
           SELECT bool_and(position(word IN p.search_text) > 0) AS whole,
                  sum(CASE WHEN position(word IN lower(p.name)) = 1 THEN 4 ELSE 0 END
                    + CASE WHEN position(word IN lower(p.name)) > 0 THEN 4 ELSE 0 END
                    + CASE WHEN position(word IN lower(p.category)) > 0 THEN 2 ELSE 0 END
                    + CASE WHEN position(word IN lower(p.description)) > 0 THEN 1 ELSE 0 END)::int AS score
           FROM unnest($1::text[]) AS word
         ) AS fit
         WHERE fit.whole ORDER BY fit.score DESC, p.product_id LIMIT $2`,
        [words, limit],
        bounds,
      );
      return rows.map((row) => ({ product: fromProductRow(row), score: column.integer(row, "score") }));
    },
  };
}

function fromProductRow(row: Row): Product {
  return {
    productId: column.text(row, "product_id"),
    name: column.text(row, "name"),
    description: column.text(row, "description"),
    category: column.text(row, "category"),
    weightGrams: column.integer(row, "weight_grams"),
    prices: fromPrices(column.json(row, "prices")),
  };
}

/** Our own query made this JSON. */
function fromPrices(value: unknown): readonly Price[] {
  const prices = (value ?? []) as readonly { readonly currency: string; readonly minorUnits: string }[];
  return prices.map(({ currency, minorUnits }) => ({ currency, minorUnits: BigInt(minorUnits) }));
}
