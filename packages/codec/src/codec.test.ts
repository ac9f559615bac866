import { create } from "@bufbuild/protobuf";
import { AnySchema, FileDescriptorProtoSchema, StructSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { codecOf } from "./codec.js";

describe("a codec", () => {
  test("gives back the message that it encoded", () => {
    const message = create(FileDescriptorProtoSchema, { name: "a.proto", package: "a", dependency: ["b.proto"] });
    const codec = codecOf(FileDescriptorProtoSchema);
    expect(codec.decode(codec.encode(message))).toEqual({ ok: true, value: message });
  });

  test("is made once a type", () => {
    expect(codecOf(StructSchema)).toBe(codecOf(StructSchema));
    expect(codecOf(StructSchema)).not.toBe(codecOf(AnySchema));
  });

  test("keeps fields that it does not know", () => {
    const file = codecOf(FileDescriptorProtoSchema).encode(
      create(FileDescriptorProtoSchema, { name: "a.proto", dependency: ["kept"] }),
    );
    const struct = codecOf(AnySchema).decode(file);
    expect(struct.ok && codecOf(AnySchema).encode(struct.value)).toEqual(file);
  });

  test.each([
    ["a field number of 0", [0x00, 0x01]],
    ["a length beyond the end", [0x0a, 0x7f, 0x61]],
    ["a varint without an end", [0x08, 0xff, 0xff]],
    ["text that is not UTF-8", [0x0a, 0x02, 0xc3, 0x28]],
  ])("says what is wrong with %s instead of throwing", (_name, bytes) => {
    const result = codecOf(AnySchema).decode(Uint8Array.from(bytes));
    expect(result).toMatchObject({ ok: false, error: expect.stringContaining("google.protobuf.Any") });
  });

  test("gives a message that has nothing in common with the bytes it was read from", () => {
    const large = new Uint8Array(10_000).fill(7);
    const bytes = codecOf(AnySchema).encode(create(AnySchema, { typeUrl: "t", value: large }));
    const result = codecOf(AnySchema).decode(bytes);
    bytes.fill(0);
    expect(result.ok && result.value.value).toEqual(large);
  });

  test("reads bytes that are handed over without copying what is large", () => {
    const bytes = codecOf(AnySchema).encode(create(AnySchema, { typeUrl: "t", value: new Uint8Array(10_000) }));
    const result = codecOf(AnySchema).decodeOwned(bytes);
    expect(result.ok && result.value.value.buffer).toBe(bytes.buffer);
  });

  test("reads a message within a larger buffer, and nothing of what stands around it", () => {
    const codec = codecOf(AnySchema);
    const message = create(AnySchema, { typeUrl: "example/Type", value: Uint8Array.of(1, 2, 3) });
    const bytes = codec.encode(message);
    const around = Buffer.concat([Buffer.alloc(9, 0xff), bytes, Buffer.alloc(9, 0x12)]);
    expect(codec.decode(around, 9, 9 + bytes.length)).toEqual({ ok: true, value: message });
    expect(codec.decode(around, 9, 8 + bytes.length).ok).toBe(false);
  });
});
