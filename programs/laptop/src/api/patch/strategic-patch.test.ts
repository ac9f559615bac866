import { expect, test } from "vitest";
import { list, listBy, obj, setOf, str } from "../../kinds/schema.js";
import { strategicPatch } from "./strategic-patch.js";

const schema = obj({
  items: listBy(["name"], obj({ name: str(), value: str() })),
  finalizers: setOf(str()),
  plain: list(str()),
  nested: obj({ a: str(), b: str() }),
});
const patch = (target: unknown, change: unknown) => strategicPatch(target, change, schema);
const items = (...names: readonly string[]) => names.map((name) => ({ name, value: name.toUpperCase() }));

test("objects of a keyed list are joined, new ones come after the old", () => {
  const change = { items: [{ name: "b", value: "new" }, { name: "c" }] };
  expect(patch({ items: items("a", "b") }, change)).toEqual({
    items: [{ name: "a", value: "A" }, { name: "b", value: "new" }, { name: "c" }],
  });
});

test("an order puts what it names in place", () => {
  const change = { "$setElementOrder/items": [{ name: "c" }, { name: "a" }], items: [{ name: "c" }] };
  expect(patch({ items: items("a") }, change)).toEqual({ items: [{ name: "c" }, { name: "a", value: "A" }] });
  const only = { "$setElementOrder/items": [{ name: "b" }, { name: "a" }] };
  expect(patch({ items: items("a", "b") }, only)).toEqual({ items: items("b", "a") });
});

test("sets grow, and shrink by directive; other lists are replaced", () => {
  expect(patch({ finalizers: ["a"] }, { finalizers: ["a", "b"] })).toEqual({ finalizers: ["a", "b"] });
  const shrink = { "$deleteFromPrimitiveList/finalizers": ["a"] };
  expect(patch({ finalizers: ["a", "b"] }, shrink)).toEqual({ finalizers: ["b"] });
  expect(patch({ plain: ["a"] }, { plain: ["b"] })).toEqual({ plain: ["b"] });
});

test("null takes a field away, replace and retainKeys take the others", () => {
  const target = { nested: { a: "1", b: "2" } };
  expect(patch(target, { nested: { a: null } })).toEqual({ nested: { b: "2" } });
  expect(patch(target, { nested: { $patch: "replace", a: "3" } })).toEqual({ nested: { a: "3" } });
  expect(patch(target, { nested: { $retainKeys: ["a"], a: "4" } })).toEqual({ nested: { a: "4" } });
});

test("an object without its merge key, and an unknown directive, are 400", () => {
  expect(() => patch({}, { items: [{ value: "x" }] })).toThrow("does not contain declared merge key: name");
  expect(() => patch({}, { nested: { $patch: "explode" } })).toThrow('unknown $patch directive "explode"');
});
