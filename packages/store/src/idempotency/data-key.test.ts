import { expect, test } from "vitest";
import { createDataKey } from "../index.js";

const plain = new TextEncoder().encode("4111 1111 1111 1111");

test("what is sealed opens with the same key and context only, and shows nothing of the plain text", () => {
  const key = createDataKey(new Uint8Array(32).fill(7));
  const sealed = key.seal("place", plain);
  expect(Buffer.from(sealed).includes(Buffer.from(plain))).toBe(false);
  expect(key.seal("place", plain)).not.toEqual(sealed);
  expect(key.open("place", sealed)).toEqual({ ok: true, value: Buffer.from(plain) });
  expect(key.open("elsewhere", sealed).ok).toBe(false);
  expect(createDataKey(new Uint8Array(32).fill(8)).open("place", sealed).ok).toBe(false);
  expect(key.open("place", sealed.with(-1, (sealed.at(-1) ?? 0) ^ 1)).ok).toBe(false);
  expect(key.open("place", new Uint8Array(5)).ok).toBe(false);
});

test("a hash depends on key, purpose and bytes", () => {
  const hash = (fill: number, purpose: string): string =>
    Buffer.from(createDataKey(new Uint8Array(32).fill(fill)).hash(purpose, plain)).toString("hex");
  expect(hash(1, "a")).toBe(hash(1, "a"));
  expect(new Set([hash(1, "a"), hash(2, "a"), hash(1, "b")]).size).toBe(3);
});

test("a key of another length is refused without being shown", () => {
  expect(() => createDataKey(new Uint8Array(5).fill(77))).toThrow("data key: 5 bytes, not 32");
});
