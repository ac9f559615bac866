import { expect, test } from "vitest";
import { builtInKinds } from "../kinds/built-in.js";
import { int, list, obj, oneOf, str } from "../kinds/schema.js";
import { judge, withDefaults } from "./judge.js";
import { parseFieldSelector, parseLabelSelector } from "./selectors.js";

const schema = obj({
  "name!": str({ pattern: "^[a-z]+$", maxLength: 5 }),
  count: int({ minimum: 0, default: 1 }),
  word: oneOf("One", "Two"),
  list: list(obj({ inner: int({ default: 7 }) }), { maxItems: 2 }),
});

test("fields that are not known are named and left out", () => {
  const judged = judge({ name: "a", nmae: "b", constructor: 1, list: [{ inner: 1, iner: 2 }] }, schema);
  expect(judged.unknown).toEqual(["nmae", "constructor", "list[0].iner"]);
  expect(judged.pruned).toEqual({ name: "a", list: [{ inner: 1 }] });
});

test("each broken limit is a cause with its path", () => {
  const judged = judge({ name: "TOOLONG", count: -1, word: "Three", list: [{}, {}, {}] }, schema);
  expect(judged.causes.map((cause) => `${cause.reason} ${cause.field}`).sort()).toEqual([
    "FieldValueInvalid count",
    "FieldValueInvalid name",
    "FieldValueNotSupported word",
    "FieldValueTooLong name",
    "FieldValueTooMany list",
  ]);
  expect(judge({}, schema).causes).toMatchObject([{ reason: "FieldValueRequired", field: "name" }]);
  expect(judge({ name: 7 }, schema).mistyped).toMatchObject([{ field: "name" }]);
});

test("defaults go into what is missing, lists included, and null counts as missing", () => {
  expect(withDefaults({ name: "a", count: null, list: [{}] }, schema)).toEqual({
    name: "a",
    count: 1,
    list: [{ inner: 7 }],
  });
  const full = { name: "a", count: 2 };
  expect(withDefaults(full, schema)).toBe(full);
});

test("selectors that can't be read are 400", () => {
  const pods = builtInKinds.find((kind) => kind.kind === "Pod");
  if (pods === undefined) throw new Error("no Pod among the built-in kinds");
  for (const source of ["a=b=c", "in (x)", "a in x", "a b", ",", "a=ä"]) {
    expect(() => parseLabelSelector(source)).toThrow(expect.objectContaining({ code: 400 }));
  }
  for (const source of ["spec.nodeName", "spec.secret=x", "=x"]) {
    expect(() => parseFieldSelector(source, pods)).toThrow(expect.objectContaining({ code: 400 }));
  }
  expect(parseFieldSelector("spec.nodeName=n,status.phase!=Failed", pods)({ spec: { nodeName: "n" } })).toBe(true);
});

test("every kind has one name of its own, and columns that begin with a name or a time", () => {
  const keys = builtInKinds.map((kind) => `${kind.group}/${kind.plural}`);
  expect(new Set(keys).size).toBe(keys.length);
  const short = builtInKinds.flatMap((kind) => kind.shortNames);
  expect(new Set(short).size).toBe(short.length);
  for (const kind of builtInKinds) expect(["Name", "Last Seen"]).toContain(kind.columns[0]?.name);
});
