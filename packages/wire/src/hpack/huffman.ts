/**
 * Length in bits of each symbol's code, 256 being EOS (RFC 7541 Appendix B). The code is canonical: codes of one length follow one another in
 * the order of their symbols, and the first of a length follows from the last of the length before. So the lengths say everything.
 */
const codeLengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];

const eos = 256;
const longestCode = 30;

/** The code of each symbol, its bits at the low end. */
const codes: Uint32Array = assignCodes();

function assignCodes(): Uint32Array {
  const assigned = new Uint32Array(eos + 1);
  let code = 0;
  for (let length = 1; length <= longestCode; length += 1) {
    code *= 2;
    for (let symbol = 0; symbol <= eos; symbol += 1) {
      if (codeLengths[symbol] !== length) continue;
      assigned[symbol] = code;
      code += 1;
    }
  }
  return assigned;
}

/*
 * Decoding goes four bits at a time through a table: states are the inner nodes of the code's tree, 16 steps from each.
 * A step is `next state | symbol << 8 | flags`: as no code is shorter than five bits, a step ends at most one symbol.
 */
const emits = 1 << 16;
const accepts = 1 << 17;
const fails = 1 << 18;
const steps: Uint32Array = buildSteps();

function buildSteps(): Uint32Array {
  // children[2 * node + bit]: an inner node (≥ 0), or a symbol as -1 - symbol.
  const children: number[] = [Number.NaN, Number.NaN];
  /** Whether all bits from the root to a node are ones, and there are fewer than eight: then a string may end here (RFC 7541 §5.2). */
  const padding: boolean[] = [true];
  for (let symbol = 0; symbol <= eos; symbol += 1) {
    const length = codeLengths[symbol] ?? 0;
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit -= 1) {
      const branch = 2 * node + (((codes[symbol] ?? 0) >>> bit) & 1);
      if (bit === 0) {
        children[branch] = -1 - symbol;
      } else {
        if (Number.isNaN(children[branch])) {
          children[branch] = children.length / 2;
          children.push(Number.NaN, Number.NaN);
          const depth = length - bit;
          padding.push((padding[node] ?? false) && (branch & 1) === 1 && depth < 8);
        }
        node = children[branch] ?? 0;
      }
    }
  }
  const table = new Uint32Array((children.length / 2) * 16);
  for (let state = 0; state < children.length / 2; state += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1)
      table[state * 16 + nibble] = stepFrom(state, nibble, children, padding);
  }
  return table;
}

function stepFrom(state: number, nibble: number, children: readonly number[], padding: readonly boolean[]): number {
  let node = state;
  let step = 0;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const child = children[2 * node + ((nibble >>> bit) & 1)] ?? Number.NaN;
    if (child >= 0) {
      node = child;
      continue;
    }
    const symbol = -1 - child;
    if (symbol === eos) return fails;
    step |= emits | (symbol << 8);
    node = 0;
  }
  return step | node | (padding[node] ? accepts : 0);
}

/** How long a text is when Huffman-coded, in bytes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) bits += codeLengths[text.charCodeAt(i) & 0xff] ?? 0;
  return (bits + 7) >>> 3;
}

/** Writes a latin1 text Huffman-coded at `at`; returns where it ended. */
export function encodeHuffman(text: string, into: Buffer, at: number): number {
  let pending = 0;
  let pendingBits = 0;
  for (let i = 0; i < text.length; i += 1) {
    const symbol = text.charCodeAt(i) & 0xff;
    let left = codeLengths[symbol] ?? 0;
    const code = codes[symbol] ?? 0;
    while (left > 0) {
      const take = Math.min(left, 8 - pendingBits);
      left -= take;
      pending = (pending << take) | ((code >>> left) & ((1 << take) - 1));
      pendingBits += take;
      if (pendingBits === 8) {
        into[at] = pending;
        at += 1;
        pending = 0;
        pendingBits = 0;
      }
    }
  }
  if (pendingBits > 0) {
    const rest = 8 - pendingBits;
    into[at] = (pending << rest) | ((1 << rest) - 1);
    at += 1;
  }
  return at;
}

/** Room that decoding `bytes` of Huffman code may need: no code is shorter than five bits. */
export function decodedHuffmanBound(bytes: number): number {
  return Math.floor((bytes * 8) / 5) + 1;
}

/** Decodes to bytes at the start of `into`; returns how many, or -1 when the code is broken (RFC 7541 §5.2). */
export function decodeHuffman(chunk: Buffer, start: number, end: number, into: Buffer): number {
  let state = 0;
  let last = accepts;
  let written = 0;
  for (let at = start; at < end; at += 1) {
    const byte = chunk[at] ?? 0;
    last = steps[state * 16 + (byte >>> 4)] ?? fails;
    if ((last & emits) !== 0) into[written++] = (last >>> 8) & 0xff;
    if ((last & fails) !== 0) return -1;
    last = steps[(last & 0xff) * 16 + (byte & 0xf)] ?? fails;
    if ((last & emits) !== 0) into[written++] = (last >>> 8) & 0xff;
    if ((last & fails) !== 0) return -1;
    state = last & 0xff;
  }
  return (last & accepts) !== 0 ? written : -1;
}
