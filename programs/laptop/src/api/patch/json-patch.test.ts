import { expect, test } from "vitest";
import { jsonPatch } from "./json-patch.js";
import { mergePatch } from "./merge-patch.js";

test("operations are those of RFC 6902, and the object that came in is left alone", () => {
  const target = { a: [1, 2], b: { c: "x" } };
  const patched = jsonPatch(target, [
    { op: "add", path: "/a/1", value: 9 },
    { op: "add", path: "/a/-", value: 3 },
    { op: "move", from: "/b/c", path: "/d" },
    { op: "copy", from: "/a/0", path: "/e" },
    { op: "replace", path: "/b", value: null },
    { op: "test", path: "/d", value: "x" },
    { op: "remove", path: "/a/0" },
  ]);
  expect(patched).toEqual({ a: [9, 2, 3], b: null, d: "x", e: 1 });
  expect(target).toEqual({ a: [1, 2], b: { c: "x" } });
});

test.each([
  [[{ op: "remove", path: "/none" }], 422],
  [[{ op: "replace", path: "/none", value: 1 }], 422],
  [[{ op: "add", path: "/a/7", value: 1 }], 422],
  [[{ op: "add", path: "/none/x", value: 1 }], 422],
  [[{ op: "test", path: "/a", value: 2 }], 422],
  [[{ op: "explode", path: "/a" }], 400],
  [[{ op: "add", path: "a", value: 1 }], 400],
  [{ op: "add" }, 400],
])("a patch that is none or does not fit is refused: %j", (patch, code) => {
  expect(() => jsonPatch({ a: [] }, patch)).toThrow(expect.objectContaining({ code }));
});

test("a pointer into the prototype finds nothing", () => {
  expect(() => jsonPatch({}, [{ op: "add", path: "/constructor/x", value: 1 }])).toThrow();
  jsonPatch({}, [{ op: "add", path: "/__proto__", value: { polluted: true } }]);
  mergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}'));
  expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
});
