/** How many bytes a length takes as a varint. */
export function bytesOfLength(length: number): number {
  return length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : length < 0x1000_0000 ? 4 : 5;
}

/** Writes a length as a varint and gives the place after it. */
export function writeLength(b: Uint8Array, p: number, length: number): number {
  while (length > 0x7f) {
    b[p++] = (length & 0x7f) | 0x80;
    length >>>= 7;
  }
  b[p++] = length;
  return p;
}
