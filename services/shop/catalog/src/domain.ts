import { type Parsed, parsed, refused } from "@weft/foundation";

/** An amount in minor units of a currency. */
export interface Price {
  readonly currency: string;
  readonly minorUnits: bigint;
}

/** Something that the shop sells. */
export interface Product {
  readonly productId: string;
  readonly name: string;
  readonly description: string;
  readonly category: string;
  readonly weightGrams: number;
  readonly prices: readonly Price[];
}

/** A product that a search found, and how well it fits: higher is better. */
export interface Hit {
  readonly product: Product;
  readonly score: number;
}

const longestId = 64;
const mostIds = 100;
const longestQuery = 200;
const mostWords = 16;

/** Checks a product id; the error names the field and the value. */
export function parseProductId(field: string, value: string): Parsed<string> {
  if (/^[a-z0-9]+(-[a-z0-9]+)*$/.test(value) && value.length <= longestId) return parsed(value);
  return refused(`${field} ${quoted(value)}: must be lower-case letters and digits in parts joined by dashes`);
}

/** Checks a list of ids: 1 to 100, each once. */
export function parseProductIds(field: string, values: readonly string[]): Parsed<readonly string[]> {
  if (values.length === 0 || values.length > mostIds)
    return refused(`${field}: ${values.length} of them, must be 1 to ${mostIds}`);
  const seen = new Set<string>();
  for (const [index, value] of values.entries()) {
    const id = parseProductId(`${field}[${index}]`, value);
    if (!id.ok) return id;
    if (seen.has(value)) return refused(`${field}[${index}] ${quoted(value)}: stands twice`);
    seen.add(value);
  }
  return parsed(values);
}

/** Checks a size with a default for 0. */
export function parseSize(
  field: string,
  value: number,
  limits: { readonly fallback: number; readonly max: number },
): Parsed<number> {
  if (value === 0) return parsed(limits.fallback);
  return value > 0 && value <= limits.max
    ? parsed(value)
    : refused(`${field} ${value}: must be 1 to ${limits.max}, or 0 for ${limits.fallback}`);
}

/** The words of a query in lower case, each once. */
export function parseQuery(query: string): Parsed<readonly string[]> {
  if (query.length > longestQuery) return refused(`query: ${query.length} characters, must be at most ${longestQuery}`);
  const words = [...new Set(query.toLowerCase().split(/[^\p{L}\p{N}]+/u))].filter((word) => word !== "");
  if (words.length === 0) return refused(`query ${quoted(query)}: holds no word`);
  if (words.length > mostWords) return refused(`query: ${words.length} words, must be at most ${mostWords}`);
  return parsed(words);
}

/** The page after this product. */
export function pageTokenAfter(productId: string): string {
  return Buffer.from(`after:${productId}`).toString("base64url");
}

/** The product that the page comes after; the empty token is the first page. */
export function parsePageToken(token: string): Parsed<string | undefined> {
  if (token === "") return parsed(undefined);
  const text = Buffer.from(token, "base64url").toString();
  const id = text.startsWith("after:") ? text.slice("after:".length) : "";
  return parseProductId("page_token", id).ok
    ? parsed(id)
    : refused(`page_token ${quoted(token)}: was not given by ListProducts`);
}

/** A value in a message: never longer than a line. */
function quoted(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
