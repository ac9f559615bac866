/** Room that an integer of 31 bits takes at most: the prefix and five bytes. */
export const maxIntegerBytes = 6;

/** Writes an integer with a prefix of `prefixBits`, under the bits of `pattern` (RFC 7541 §5.1); returns where it ended. */
export function encodeInteger(into: Buffer, at: number, pattern: number, prefixBits: number, value: number): number {
  const max = (1 << prefixBits) - 1;
  if (value < max) {
    into[at] = pattern | value;
    return at + 1;
  }
  into[at] = pattern | max;
  at += 1;
  let rest = value - max;
  while (rest >= 0x80) {
    into[at] = 0x80 | (rest & 0x7f);
    at += 1;
    rest >>>= 7;
  }
  into[at] = rest;
  return at + 1;
}
