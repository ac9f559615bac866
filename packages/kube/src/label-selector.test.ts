import { expect, test } from "vitest";
import { parseLabelSelector } from "./label-selector.js";

const meets = (selector: string, labels: Readonly<Record<string, string>>): boolean | string => {
  const read = parseLabelSelector(selector);
  return read.ok ? read.value(labels) : read.error;
};

test.each([
  ["", true],
  ["app=orders", true],
  ["app==orders,tier=web", true],
  ["app=orders,tier=db", false],
  ["app!=orders", false],
  ["zone!=a", true],
  ["app in (orders, catalog),tier notin (db)", true],
  ["app notin (orders)", false],
  ["zone notin (a)", true],
  ["tier", true],
  ["!tier", false],
  ["!zone", true],
  ["constructor", false],
])("%j against app=orders,tier=web is %s", (selector, expected) => {
  expect(meets(selector, { app: "orders", tier: "web" })).toBe(expected);
});

test("what is no selector is refused with the part that isn't", () => {
  expect(meets("app=orders,a b", {})).toBe('unable to parse requirement: "a b"');
  expect(meets("app in (a", {})).toMatch(/unable to parse/);
  expect(meets(",", {})).toMatch(/unable to parse/);
});
