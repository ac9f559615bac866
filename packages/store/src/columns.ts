/** One row as it comes from the driver: column name to value. Read it with {@link column}. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * Reads one column in one type; a value of another type, NULL too, is a mistake between SQL and code and throws.
 * `bigint` reads Postgres' `bigint`, which the driver gives as text so that no digit is lost.
 */
export const column = {
  text: (row: Row, name: string): string => {
    const value = row[name];
    return typeof value === "string" ? value : unfit(row, name, "text");
  },
  integer: (row: Row, name: string): number => {
    const value = row[name];
    return typeof value === "number" && Number.isInteger(value) ? value : unfit(row, name, "an integer");
  },
  bigint: (row: Row, name: string): bigint => {
    const value = row[name];
    return typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : unfit(row, name, "a bigint");
  },
  boolean: (row: Row, name: string): boolean => {
    const value = row[name];
    return typeof value === "boolean" ? value : unfit(row, name, "a boolean");
  },
  timestamp: (row: Row, name: string): Date => {
    const value = row[name];
    return value instanceof Date ? value : unfit(row, name, "a timestamp");
  },
  bytes: (row: Row, name: string): Uint8Array => {
    const value = row[name];
    return value instanceof Uint8Array ? value : unfit(row, name, "bytes");
  },
  /** A json or jsonb value, parsed by the driver; what it holds is for the caller to check. */
  json: (row: Row, name: string): unknown => row[name],
} as const;

function unfit(row: Row, name: string, form: string): never {
  const value = row[name];
  throw new TypeError(`column ${JSON.stringify(name)} is ${value === null ? "NULL" : typeof value}, not ${form}`);
}
