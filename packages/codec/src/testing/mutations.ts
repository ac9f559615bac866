import * as fc from "fast-check";

/** What went wrong with bytes on their way. */
type Mutation =
  | { readonly t: "cut"; readonly at: number }
  | { readonly t: "set"; readonly at: number; readonly byte: number }
  | { readonly t: "insert"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly t: "remove"; readonly at: number; readonly count: number }
  | { readonly t: "repeat"; readonly at: number; readonly count: number };

const at = fc.nat({ max: 0xffff });
const count = fc.integer({ min: 1, max: 12 });
/** Bytes that mean something at many places: ends of varints, tags of groups, lengths. */
const telling = fc.constantFrom(0, 1, 2, 3, 4, 5, 7, 0x0b, 0x0c, 0x7f, 0x80, 0x81, 0xff);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ t: fc.constant("cut" as const), at }),
  fc.record({ t: fc.constant("set" as const), at, byte: fc.oneof(telling, fc.nat({ max: 255 })) }),
  fc.record({ t: fc.constant("insert" as const), at, bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }) }),
  fc.record({ t: fc.constant("remove" as const), at, count }),
  fc.record({ t: fc.constant("repeat" as const), at, count }),
);

export const mutationsArbitrary: fc.Arbitrary<readonly Mutation[]> = fc.array(mutation, { minLength: 1, maxLength: 4 });

export function mutate(bytes: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  return mutations.reduce(apply, bytes);
}

function apply(bytes: Uint8Array, change: Mutation): Uint8Array {
  const start = change.at % (bytes.length + 1);
  const before = bytes.subarray(0, start);
  switch (change.t) {
    case "cut":
      return before.slice();
    case "set": {
      const copy = bytes.slice();
      copy[start] = change.byte;
      return copy;
    }
    case "insert":
      return join(before, change.bytes, bytes.subarray(start));
    case "remove":
      return join(before, bytes.subarray(start + change.count));
    case "repeat":
      return join(before, bytes.subarray(start, start + change.count), bytes.subarray(start));
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
