import { deepStrictEqual, match, ok, throws } from "node:assert/strict";
import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import {
  AnySchema,
  FieldDescriptorProtoSchema,
  Int32ValueSchema,
  ListValueSchema,
  StructSchema,
  TimestampSchema,
  UInt32ValueSchema,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import * as fc from "fast-check";
import type { Codecs } from "../codec.js";
import { GrowingBuffer } from "../send-buffer.js";
import { examples } from "./examples.js";
import { messageArbitrary } from "./messages.js";
import { mutate, mutationsArbitrary } from "./mutations.js";
import { assertSameMessage } from "./same-message.js";
import { schemaArbitrary } from "./schemas.js";

/** One sentence that holds for every way of making codecs. */
export interface ContractCase {
  readonly name: string;
  /** `scale` times as many random inputs as usual are tried. */
  run(codecs: Codecs, scale: number): void;
}

/** Random messages of random types. */
const anyMessage = schemaArbitrary.chain((desc) =>
  fc.record({
    desc: fc.constant(desc),
    message: messageArbitrary(desc),
    again: fc.array(messageArbitrary(desc), { maxLength: 2 }),
  }),
);

/**
 * What holds for codecs however they are made, with protobuf-es as the yardstick. Free of any test framework, so that it also runs in a process
 * that may not compile source.
 */
export const codecContract: readonly ContractCase[] = [
  {
    name: "random messages of random types are the bytes that protobuf-es writes, and are read as it reads them",
    run: (codecs, scale) =>
      fc.assert(
        fc.property(anyMessage, ({ desc, message }) => {
          const codec = codecs.of(desc);
          const theirs = attempt(() => toBinary(desc, message));
          const ours = attempt(() => codec.encode(message));
          deepStrictEqual(ours.ok, theirs.ok, `${ours.error} against ${theirs.error}`);
          if (theirs.value === undefined || ours.value === undefined) return;
          deepStrictEqual(new Uint8Array(ours.value), theirs.value);
          assertSameRead(codecs, desc, theirs.value);
        }),
        { numRuns: 100 * scale },
      ),
  },
  {
    name: "messages sent one after the other are merged as protobuf-es merges them",
    run: (codecs, scale) =>
      fc.assert(
        fc.property(anyMessage, ({ desc, message, again }) => {
          const parts = [message, ...again].map((one) => attempt(() => toBinary(desc, one)).value ?? new Uint8Array());
          assertSameRead(codecs, desc, new Uint8Array(Buffer.concat(parts)));
        }),
        { numRuns: 50 * scale },
      ),
  },
  {
    name: "damaged bytes are refused where protobuf-es refuses them, and else read as it reads them",
    run: (codecs, scale) =>
      fc.assert(
        fc.property(anyMessage, fc.array(mutationsArbitrary, { maxLength: 12 }), ({ desc, message }, damages) => {
          const bytes = attempt(() => toBinary(desc, message)).value ?? new Uint8Array();
          for (const damage of damages) assertSameRead(codecs, desc, mutate(bytes, damage));
        }),
        { numRuns: 100 * scale },
      ),
  },
  {
    name: "any bytes are refused where protobuf-es refuses them, and else read as it reads them",
    run: (codecs, scale) =>
      fc.assert(
        fc.property(schemaArbitrary, fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }), (desc, all) => {
          for (const bytes of all) assertSameRead(codecs, desc, bytes);
        }),
        { numRuns: 100 * scale },
      ),
  },
  ...[...examples.wrongBytes].map(([name, bytes]) => ({
    name: `${name} is refused`,
    run(codecs: Codecs) {
      for (const desc of [AnySchema, ValueSchema, examples.proto2]) {
        const read = codecs.of(desc).decode(bytes);
        ok(!read.ok, desc.typeName);
        match(read.error, new RegExp(`^${desc.typeName}: `));
        throws(() => fromBinary(desc, bytes));
      }
    },
  })),
  {
    name: "a length that the bytes do not have costs no memory",
    run(codecs) {
      const declared = Uint8Array.of(0x12, 0xff, 0xff, 0xff, 0xff, 0x07, 1, 2, 3);
      const before = process.memoryUsage().arrayBuffers;
      for (let i = 0; i < 100; i += 1) ok(!codecs.of(AnySchema).decode(declared).ok);
      ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024);
    },
  },
  {
    name: "100 messages within each other are read, and 101 are not",
    run(codecs) {
      const codec = codecs.of(ListValueSchema);
      deepStrictEqual(codec.decode(nestedLists(100)).ok, true);
      deepStrictEqual(codec.decode(nestedLists(101)).ok, false);
      const groups = (depth: number) => Uint8Array.from([...Array(depth).fill(0x7b), ...Array(depth).fill(0x7c)]);
      deepStrictEqual(codec.decode(groups(99)).ok, true);
      deepStrictEqual(codec.decode(groups(100)).ok, false);
      deepStrictEqual(codec.decode(nestedLists(100_000)).ok, false);
    },
  },
  {
    name: "a closed enum's unknown value is kept, beside unknown fields too",
    run(codecs) {
      const codec = codecs.of(examples.proto2);
      // choice = 7, then field 1000 = 1, then choice = -1: none of them known.
      const bytes = Uint8Array.of(0x10, 7, 0xc0, 0x3e, 1, 0x10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1);
      const read = codec.decode(bytes);
      ok(read.ok);
      deepStrictEqual(
        read.value.$unknown?.map((field) => field.no),
        [2, 1000, 2],
      );
      deepStrictEqual(new Uint8Array(codec.encode(read.value)), bytes);
    },
  },
  {
    name: "a closed enum's unknown value does not take a oneof's place",
    run(codecs) {
      const read = codecs.of(examples.proto2).decode(Uint8Array.of(0x20, 1, 0x28, 7));
      ok(read.ok);
      deepStrictEqual(Reflect.get(read.value, "either"), { case: "left", value: 1 });
      deepStrictEqual(read.value.$unknown, [{ no: 5, wireType: 0, data: Uint8Array.of(7) }]);
    },
  },
  {
    name: "a map's key __proto__ is a key like all others",
    run(codecs) {
      const codec = codecs.of(StructSchema);
      const fields = JSON.parse(
        '{"__proto__":{"$typeName":"google.protobuf.Value","kind":{"case":"boolValue","value":true}},"a":{"$typeName":"google.protobuf.Value","kind":{}}}',
      );
      const bytes = codec.encode({ $typeName: "google.protobuf.Struct", fields });
      const read = codec.decode(bytes);
      ok(read.ok);
      deepStrictEqual(Object.keys(read.value.fields), ["__proto__", "a"]);
      deepStrictEqual(Object.getPrototypeOf(read.value.fields), Object.prototype);
      deepStrictEqual(codec.encode(read.value), bytes);
    },
  },
  {
    name: "text keeps its byte order mark",
    run(codecs) {
      const codec = codecs.of(AnySchema);
      for (const typeUrl of ["\ufeffabc", `\ufeff${"abc".repeat(100)}`]) {
        const read = codec.decode(codec.encode(create(AnySchema, { typeUrl })));
        deepStrictEqual(read.ok && read.value.typeUrl, typeUrl);
      }
    },
  },
  {
    name: "half a surrogate pair is written as U+FFFD, as protobuf-es does",
    run(codecs) {
      for (const typeUrl of ["a\ud800b", "\udc00", `${"x".repeat(200)}\ud800`]) {
        const message = create(AnySchema, { typeUrl });
        deepStrictEqual(codecs.of(AnySchema).encode(message), toBinary(AnySchema, message));
      }
    },
  },
  {
    name: "text that is not UTF-8 is refused where the schema checks it, and patched where it does not",
    run(codecs) {
      for (const wrong of [
        [0xff],
        [0xc3, 0x28],
        [0xed, 0xa0, 0x80],
        [0xf8, 0x88, 0x80, 0x80, 0x80],
        [0xe2, 0x82],
        [0xc0, 0x80],
      ]) {
        for (const padding of [0, 60]) {
          const text = [...Array(padding).fill(0x61), ...wrong];
          const bytes = Uint8Array.from([0x0a, text.length, ...text]);
          ok(!codecs.of(AnySchema).decode(bytes).ok);
          assertSameRead(codecs, examples.proto2, bytes);
          ok(codecs.of(examples.proto2).decode(bytes).ok);
        }
      }
    },
  },
  {
    name: "values that break their type are refused where protobuf-es refuses them",
    run(codecs) {
      for (const [desc, name, values] of wrongValues) {
        for (const value of values) {
          const message = create(desc);
          Reflect.set(message, name, value);
          const ours = attempt(() => new Uint8Array(codecs.of(desc).encode(message)));
          const theirs = attempt(() => toBinary(desc, message));
          const what = `${desc.typeName}.${name} = ${String(value)}`;
          deepStrictEqual(ours.ok, theirs.ok, what);
          // Where nothing stands protobuf-es writes a zero that means the same.
          if (value !== undefined) deepStrictEqual(ours.value, theirs.value, what);
        }
      }
    },
  },
  {
    name: "a message of another type is refused",
    run(codecs) {
      throws(() => codecs.of(AnySchema).encode(parseAny(create(TimestampSchema))), /google\.protobuf\.Any expected/);
    },
  },
  {
    name: "deterministic bytes do not depend on the order in which a map was filled",
    run(codecs) {
      const value = (n: number) => create(ValueSchema, { kind: { case: "numberValue", value: n } });
      const keys = ["b", "a", "", "10", "9", "\u{1f600}", "\uffee", "é"];
      const filled = (order: readonly string[]) =>
        create(StructSchema, { fields: Object.fromEntries(order.map((key) => [key, value(keys.indexOf(key))])) });
      const codec = codecs.of(StructSchema);
      const [one, other] = [filled(keys), filled([...keys].reverse())];
      deepStrictEqual(codec.encode(one, { deterministic: true }), codec.encode(other, { deterministic: true }));
      const read = codec.decode(codec.encode(one, { deterministic: true }));
      deepStrictEqual(read.ok && Object.keys(read.value.fields).filter((key) => !/^\d/.test(key)), [
        "",
        "a",
        "b",
        "é",
        "\uffee",
        "\u{1f600}",
      ]);
      const unusual = (order: readonly string[]) => {
        const message = create(examples.extended);
        Reflect.set(message, "map", Object.fromEntries(order.map((key) => [key, 1])));
        return codecs.of(examples.extended).encode(message, { deterministic: true });
      };
      deepStrictEqual(unusual(["b", "a"]), unusual(["a", "b"]));
    },
  },
  {
    name: "a message is written where the buffer stands, and what was there before stays",
    run: (codecs, scale) =>
      fc.assert(
        fc.property(anyMessage, fc.nat({ max: 20 }), ({ desc, message }, headroom) => {
          const expected = attempt(() => toBinary(desc, message)).value;
          const buffer = new GrowingBuffer(16);
          buffer.bytes.fill(0xaa);
          buffer.position = headroom;
          const length = attempt(() => codecs.of(desc).encodeInto(message, buffer)).value;
          deepStrictEqual(length, expected?.length);
          deepStrictEqual(buffer.position, headroom + (length ?? 0));
          const before = Math.min(headroom, 16);
          deepStrictEqual(buffer.bytes.slice(0, before), new Uint8Array(before).fill(0xaa));
          if (expected !== undefined) deepStrictEqual(buffer.bytes.slice(headroom, buffer.position), expected);
        }),
        { numRuns: 50 * scale },
      ),
  },
  {
    name: "a message may write another one while it is written",
    run(codecs) {
      const codec = codecs.of(AnySchema);
      const inner = create(AnySchema, { typeUrl: "inner", value: new Uint8Array(300).fill(1) });
      const message = create(AnySchema, { typeUrl: "outer" });
      Object.defineProperty(message, "value", { get: () => codec.encode(inner) });
      const read = codec.decode(codec.encode(message));
      deepStrictEqual(read.ok && new Uint8Array(read.value.value), toBinary(AnySchema, inner));
      deepStrictEqual(read.ok && read.value.typeUrl, "outer");
    },
  },
  {
    name: "what a type has extensions for goes to protobuf-es, and comes back whole",
    run(codecs) {
      const message = create(FieldDescriptorProtoSchema, { name: "a", options: { packed: true } });
      const bytes = toBinary(FieldDescriptorProtoSchema, message);
      deepStrictEqual(codecs.of(FieldDescriptorProtoSchema).encode(message), bytes);
      assertSameRead(codecs, FieldDescriptorProtoSchema, bytes);
    },
  },
];

const notNumbers = [
  "",
  "x",
  "12",
  "1.5",
  1.5,
  Number.NaN,
  2 ** 31,
  2 ** 32,
  -1,
  -(2 ** 31) - 1,
  null,
  undefined,
  {},
  3n,
  true,
];
const wrongValues: readonly (readonly [DescMessage, string, readonly unknown[]])[] = [
  [Int32ValueSchema, "value", notNumbers],
  [UInt32ValueSchema, "value", notNumbers],
  [
    TimestampSchema,
    "seconds",
    ["", "x", "12", 12, 1.5, 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n, null, undefined, {}, true],
  ],
  [AnySchema, "value", [[1, 2], "text", null, undefined, 5, {}, Buffer.from("abc")]],
  [AnySchema, "typeUrl", [5, undefined, null, true, Symbol("x")]],
  [ListValueSchema, "values", [[5], ["text"], [{}]]],
];

/** Messages within each other, this many. */
function nestedLists(depth: number): Uint8Array {
  let bytes = new Uint8Array();
  // A ListValue holds a Value, which holds a ListValue; the innermost may be either.
  for (let at = 1; at < Math.min(depth, 2000); at += 1) {
    bytes = new Uint8Array(
      Buffer.concat([Uint8Array.of((depth - at) % 2 === 1 ? 0x0a : 0x32), lengthOf(bytes), bytes]),
    );
  }
  return bytes;
}

function lengthOf(bytes: Uint8Array): Uint8Array {
  const length = bytes.length;
  return length < 0x80 ? Uint8Array.of(length) : Uint8Array.of((length & 0x7f) | 0x80, length >> 7);
}

/** Reads bytes both ways and compares what comes of it. */
function assertSameRead(codecs: Codecs, desc: DescMessage, bytes: Uint8Array): void {
  const theirs = attempt(() => fromBinary(desc, bytes));
  for (const ours of [codecs.of(desc).decode(bytes), codecs.of(desc).decodeOwned(Buffer.from(bytes))]) {
    deepStrictEqual(ours.ok, theirs.ok, ours.ok ? `protobuf-es: ${theirs.error}` : ours.error);
    if (ours.ok && theirs.value !== undefined) assertSameMessage(desc, ours.value, theirs.value);
  }
}

interface Attempt<T> {
  readonly ok: boolean;
  readonly value?: T;
  readonly error?: string;
}

function attempt<T>(run: () => T): Attempt<T> {
  try {
    return { ok: true, value: run() };
  } catch (error) {
    return { ok: false, error: String(error) };
  }
}

function parseAny(message: Message): never {
  return message as never;
}
