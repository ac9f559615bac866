/** One header field as a table holds it. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

/** What each entry of a table counts beyond its name and value (RFC 7541 §4.1). */
export const entryOverheadBytes = 32;

const entries: readonly (readonly [name: string, value?: string])[] = [
  [":authority"],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset"],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language"],
  ["accept-ranges"],
  ["accept"],
  ["access-control-allow-origin"],
  ["age"],
  ["allow"],
  ["authorization"],
  ["cache-control"],
  ["content-disposition"],
  ["content-encoding"],
  ["content-language"],
  ["content-length"],
  ["content-location"],
  ["content-range"],
  ["content-type"],
  ["cookie"],
  ["date"],
  ["etag"],
  ["expect"],
  ["expires"],
  ["from"],
  ["host"],
  ["if-match"],
  ["if-modified-since"],
  ["if-none-match"],
  ["if-range"],
  ["if-unmodified-since"],
  ["last-modified"],
  ["link"],
  ["location"],
  ["max-forwards"],
  ["proxy-authenticate"],
  ["proxy-authorization"],
  ["range"],
  ["referer"],
  ["refresh"],
  ["retry-after"],
  ["server"],
  ["set-cookie"],
  ["strict-transport-security"],
  ["transfer-encoding"],
  ["user-agent"],
  ["vary"],
  ["via"],
  ["www-authenticate"],
];

/** RFC 7541 Appendix A; index 1 is the first. */
export const staticTable: readonly HeaderField[] = entries.map(([name, value = ""]) => ({ name, value }));

/** Index of the first dynamic entry. */
export const firstDynamicIndex = staticTable.length + 1;

/** Index of each whole field of the static table, by {@link fieldKey}. */
export const staticFieldIndex: ReadonlyMap<string, number> = new Map(
  staticTable.map((field, index) => [fieldKey(field.name, field.value), index + 1]),
);

/** The lowest index of each name of the static table. */
export const staticNameIndex: ReadonlyMap<string, number> = new Map(
  [...staticTable.entries()].reverse().map(([index, field]) => [field.name, index + 1]),
);

/** One string for a name and its value; neither can hold the byte between them. */
export function fieldKey(name: string, value: string): string {
  return `${name}\0${value}`;
}
