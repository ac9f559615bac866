import { expect, test } from "vitest";
import { type TreeRow, treeMove } from "./tree-keys.js";

const rows: readonly TreeRow[] = [
  { id: "a", parent: undefined, expandable: true, expanded: true },
  { id: "b", parent: "a", expandable: true, expanded: false },
  { id: "c", parent: "a", expandable: false, expanded: true },
];

test("the keys move through a tree as ARIA's authoring practices say", () => {
  expect(treeMove("ArrowDown", "a", rows)).toEqual({ t: "focus", id: "b" });
  expect(treeMove("ArrowUp", "a", rows)).toEqual({ t: "none" });
  expect(treeMove("End", "a", rows)).toEqual({ t: "focus", id: "c" });
  expect(treeMove("Home", "c", rows)).toEqual({ t: "focus", id: "a" });
  expect(treeMove("ArrowRight", "b", rows)).toEqual({ t: "expand", id: "b" });
  expect(treeMove("ArrowRight", "a", rows)).toEqual({ t: "focus", id: "b" });
  expect(treeMove("ArrowLeft", "a", rows)).toEqual({ t: "collapse", id: "a" });
  expect(treeMove("ArrowLeft", "c", rows)).toEqual({ t: "focus", id: "a" });
  expect(treeMove("Enter", "c", rows)).toEqual({ t: "choose", id: "c" });
  expect(treeMove("Escape", "c", rows)).toEqual({ t: "close" });
  expect(treeMove("x", "c", rows)).toEqual({ t: "none" });
});
