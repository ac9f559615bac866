import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { serviceKey } from "../model/keys.js";
import { danglingNames } from "../publish/consistency.js";
import { type PublishedSet, ResourceSet } from "../publish/resource-set.js";
import type { Change } from "../source/source.js";
import { endpointsAre, grantIs, parent, routeGone, routeIs, serviceGone, serviceIs } from "../testing/objects.js";
import { translateService } from "../translate/translate.js";
import { MeshIndex } from "./mesh-index.js";

const names = ["a", "b", "a.other", "c.other"];
const name = fc.constantFrom(...names);
const split = (full: string) => {
  const [short = "", namespace = "shop"] = full.split(".");
  return { name: short, namespace };
};
const ref = fc.record({ of: name, port: fc.constantFrom(8080, 81), weight: fc.nat(3) }).map(({ of, port, weight }) => ({
  ...split(of),
  port,
  weight,
}));
const rule = fc.record({
  matches: fc.array(fc.constantFrom({}, { headers: [{ name: "x", value: "1" }] }, { method: { service: "s" } }), {
    maxLength: 2,
  }),
  backendRefs: fc.array(ref, { maxLength: 2 }),
});
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(name, fc.constantFrom({ grpc: 8080 }, { grpc: 8080, admin: 81 })).map(([of, ports]) => serviceIs(of, ports)),
  name.map(serviceGone),
  fc
    .tuple(name, fc.uniqueArray(fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3")), fc.constantFrom("n1", "n2"))
    .map(([of, addresses, nodeName]) =>
      endpointsAre(
        of,
        addresses.map((address) => ({ address, nodeName })),
      ),
    ),
  fc
    .constantFrom("n1", "n2")
    .chain((key) =>
      fc
        .constantFrom("a", "b", undefined)
        .map((zone): Change => ({ kind: "node", key, value: zone === undefined ? undefined : { region: "r", zone } })),
    ),
  fc
    .tuple(
      name,
      fc.array(name, { minLength: 1, maxLength: 2 }),
      fc.array(rule, { maxLength: 2 }),
      fc.constantFrom("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    )
    .map(([of, parents, rules, createdAt]) =>
      routeIs(of, {
        parents: parents.map((to) => parent(split(to).name, { namespace: split(to).namespace })),
        rules,
        createdAt,
      }),
    ),
  name.map(routeGone),
  fc
    .tuple(fc.constantFrom("shop", "other"), fc.constantFrom("shop", "other"), fc.constantFrom("a", undefined))
    .map(([at, from, service]) => grantIs(at, from, service)),
);

/** Everything that is published and told, as text. */
function whole(set: ResourceSet): string {
  const { types, consumers } = set.freeze();
  const text = (named: ReadonlyMap<string, { readonly field: Uint8Array }>): [string, string][] =>
    [...named].map(([key, { field }]): [string, string] => [key, Buffer.from(field).toString("latin1")]).sort();
  return JSON.stringify([
    [...types].map(([type, named]) => [type, text(named)]),
    [...consumers].map(([namespace, named]) => [namespace, text(named)]).sort(),
  ]);
}

describe("the index", () => {
  test("translating only what changes touch gives what translating everything anew gives, and nothing dangles", async () => {
    await fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const index = new MeshIndex();
        const incremental = new ResourceSet();
        const outcomes = new Map<string, string>();
        let checked: PublishedSet | undefined;
        for (const each of changes) {
          for (const key of index.apply(each).services) {
            const translation = translateService(index, key);
            incremental.put(key, translation);
            outcomes.set(key, JSON.stringify(translation.outcomes));
          }
          const set = incremental.freeze();
          expect(danglingNames(set, checked)).toEqual([]);
          checked = set;
        }
        const rebuilt = new ResourceSet();
        for (const key of index.allServices()) {
          const translation = translateService(index, key);
          rebuilt.put(key, translation);
          expect(outcomes.get(key)).toBe(JSON.stringify(translation.outcomes));
        }
        expect(whole(incremental)).toBe(whole(rebuilt));
        expect(danglingNames(incremental.freeze())).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  const a = serviceKey("shop", "a");
  const b = serviceKey("shop", "b");
  test("a Service touches the parents of routes that have it as a backend", () => {
    const index = new MeshIndex();
    index.apply(routeIs("r", { parents: [parent("a")], rules: [{ backendRefs: [{ name: "b", port: 8080 }] }] }));
    expect([...index.apply(serviceIs("b")).services].sort()).toEqual([a, b]);
  });

  test("a route that moves touches its old and its new parent", () => {
    const index = new MeshIndex();
    index.apply(routeIs("r", { parents: [parent("a")], rules: [] }));
    const moved = routeIs("r", { parents: [parent("b")], rules: [] });
    expect([...index.apply(moved).services].sort()).toEqual([a, b]);
  });

  test("a node that only reports its health touches nothing", () => {
    const index = new MeshIndex();
    index.apply(endpointsAre("a", [{ address: "10.0.0.1", nodeName: "n" }]));
    const node: Change = { kind: "node", key: "n", value: { region: "r", zone: "z" } };
    expect([...index.apply(node).services]).toEqual([a]);
    expect([...index.apply({ ...node, value: { region: "r", zone: "z" } }).services]).toEqual([]);
  });

  test.each([
    ["an address that goes", ["10.0.0.1"], true],
    ["an address that comes", ["10.0.0.1", "10.0.0.2", "10.0.0.3"], false],
    [
      "an address that terminates",
      ["10.0.0.1", { address: "10.0.0.2", conditions: { ready: false, serving: true, terminating: true } }],
      true,
    ],
  ])("%s is urgent or not", (_, after, urgent) => {
    const index = new MeshIndex();
    index.apply(endpointsAre("a", ["10.0.0.1", "10.0.0.2"]));
    expect(index.apply(endpointsAre("a", after)).urgent).toBe(urgent);
  });
});
