import { expect, test } from "vitest";
import { routeKey, serviceKey } from "../model/keys.js";
import { holds, type ParentOutcome, type Verdict } from "../model/outcome.js";
import { controllerName, parentsWith } from "./route-conditions.js";

const at = { generation: 2, nowIso: "2026-06-01T00:00:00Z" };
const broken: Verdict = { ok: false, reason: "BackendNotFound", message: "there is no such Service" };
const outcome = (more: Partial<ParentOutcome> = {}): ParentOutcome => ({
  route: routeKey("shop", "r"),
  parent: {
    service: serviceKey("shop", "catalog"),
    port: undefined,
    sectionName: undefined,
    ref: { group: "", kind: "Service", name: "catalog" },
  },
  accepted: holds,
  resolved: holds,
  partlyInvalid: holds,
  ...more,
});
const foreign = { parentRef: { name: "edge" }, controllerName: "example.com/gateway", conditions: [] };

test("each parent gets Accepted and ResolvedRefs with Gateway API's reasons", () => {
  expect(parentsWith([], [outcome({ resolved: broken })], at)).toEqual([
    {
      parentRef: { group: "", kind: "Service", name: "catalog" },
      controllerName,
      conditions: [
        expect.objectContaining({ type: "Accepted", status: "True", reason: "Accepted", observedGeneration: 2 }),
        {
          type: "ResolvedRefs",
          status: "False",
          reason: "BackendNotFound",
          message: "there is no such Service",
          observedGeneration: 2,
          lastTransitionTime: at.nowIso,
        },
      ],
    },
  ]);
});

test("entries of other controllers stay as they are, and nothing is written twice", () => {
  const first = parentsWith([foreign], [outcome()], at);
  expect(first?.[0]).toBe(foreign);
  expect(parentsWith(first ?? [], [outcome()], { ...at, nowIso: "2027-01-01T00:00:00Z" })).toBeUndefined();
});

test("a condition keeps its time while its status stays, and gets a new one when that changes", () => {
  const before = parentsWith([], [outcome()], at) ?? [];
  const later = { generation: 3, nowIso: "2027-01-01T00:00:00Z" };
  const [entry] = parentsWith(before, [outcome({ resolved: broken })], later) ?? [];
  expect(entry?.conditions?.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([at.nowIso, later.nowIso]);
});

test("the entry of a parent that the route no longer has is taken out, and only that", () => {
  const before = parentsWith([foreign], [outcome()], at) ?? [];
  expect(parentsWith(before, [], at)).toEqual([foreign]);
});

test("a conflict in part is a condition of its own", () => {
  const partlyInvalid: Verdict = { ok: false, reason: "RouteConflict", message: "1 of 2" };
  const [entry] = parentsWith([], [outcome({ partlyInvalid })], at) ?? [];
  expect(entry?.conditions?.[2]).toMatchObject({ type: "PartiallyInvalid", status: "True", reason: "RouteConflict" });
});
