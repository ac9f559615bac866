import { toJson } from "@bufbuild/protobuf";
import { RouteConfigurationSchema } from "@weft/contracts/envoy/config/route/v3";
import { describe, expect, test } from "vitest";
import { MeshIndex } from "../index/mesh-index.js";
import { serviceKey } from "../model/keys.js";
import type { Verdict } from "../model/outcome.js";
import type { Change } from "../source/source.js";
import { endpointsAre, grantIs, parent, routeIs, serviceIs } from "../testing/objects.js";
import { type Translation, translateService } from "./translate.js";

const catalog = serviceKey("shop", "catalog");
const to = (name: string, more: object = {}) => ({ name, port: 8080, ...more });
const base = [serviceIs("catalog"), serviceIs("catalog-v2")];

function translate(changes: readonly Change[], key = catalog): Translation {
  const index = new MeshIndex();
  for (const change of changes) index.apply(change);
  return translateService(index, key);
}

/** What routes do, one line each: match → clusters. */
function rules(translation: Translation, namespace?: string): string[] {
  const [config] = namespace === undefined ? translation.routes : (translation.consumerRoutes.get(namespace) ?? []);
  return (config?.virtualHosts[0]?.routes ?? []).map((route) => {
    const path = route.match?.pathSpecifier;
    const pattern = path?.case === "safeRegex" ? `~${path.value.regex}` : `${path?.case} ${path?.value}`;
    const headers = (route.match?.headers ?? []).map((header) => {
      const match = header.headerMatchSpecifier;
      if (match.case !== "stringMatch") return "?";
      const { matchPattern } = match.value;
      return matchPattern.case === "safeRegex"
        ? ` ${header.name}~${matchPattern.value.regex}`
        : ` ${header.name}=${matchPattern.value}`;
    });
    const action = route.action.case === "route" ? route.action.value.clusterSpecifier : undefined;
    const clusters =
      action?.case === "weightedClusters"
        ? action.value.clusters.map(({ name, weight }) => `${name}*${weight}`).join(" ")
        : action?.value;
    return `${pattern}${headers.join("")} → ${clusters}`;
  });
}

const reason = (verdict: Verdict | undefined): string =>
  verdict === undefined ? "" : verdict.ok ? "ok" : verdict.reason;
const verdicts = (translation: Translation): string[] =>
  translation.outcomes.map(({ route, accepted, resolved }) => `${route} ${reason(accepted)} ${reason(resolved)}`);

describe("a Service without routes", () => {
  test("gives listener, alias, routes, cluster and endpoints under the names that clients ask for", () => {
    const translation = translate([...base, endpointsAre("catalog", ["10.0.0.1"])]);
    expect(translation.listeners.map(({ name }) => name)).toEqual(["catalog.shop:8080", "catalog.shop"]);
    expect(translation.clusters.map(({ name }) => name)).toEqual(["catalog.shop:8080"]);
    expect(translation.endpoints.map(({ clusterName }) => clusterName)).toEqual(["catalog.shop:8080"]);
    expect(rules(translation)).toEqual(["prefix / → catalog.shop:8080"]);
  });

  test.each([
    [{ grpc: 8080, admin: 9464 }, 8080],
    [{ query: 16686 }, 16686],
    [{ "otlp-http": 4318, query: 16686 }, undefined],
  ])("with ports %o has port %s as the one that is meant by its bare name", (ports, port) => {
    const { listeners } = translate([serviceIs("catalog", ports)]);
    const alias = listeners.find(({ name }) => name === "catalog.shop");
    expect(alias === undefined ? undefined : JSON.stringify(alias.apiListener?.apiListener?.value)).toEqual(
      port === undefined ? undefined : expect.any(String),
    );
    expect(listeners).toHaveLength(Object.keys(ports).length + (port === undefined ? 0 : 1));
  });

  test("retries calls that ended UNAVAILABLE", () => {
    const [config] = translate(base).routes;
    expect(config && toJson(RouteConfigurationSchema, config)).toMatchObject({
      virtualHosts: [{ routes: [{ route: { retryPolicy: { retryOn: "unavailable", numRetries: 2 } } }] }],
    });
  });
});

describe("endpoints", () => {
  const addresses = (changes: readonly Change[]) =>
    translate(changes).endpoints[0]?.endpoints.map(({ locality, loadBalancingWeight, lbEndpoints }) => [
      `${locality?.region}/${locality?.zone}`,
      loadBalancingWeight,
      ...lbEndpoints.map(({ hostIdentifier }) => {
        const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
        return address?.case === "socketAddress" ? `${address.value.address}:${address.value.portSpecifier.value}` : "";
      }),
    ]);

  test("are grouped by zone, with the region of their node, and weigh as much as they are", () => {
    expect(
      addresses([
        ...base,
        { kind: "node", key: "n1", value: { region: "north", zone: "a" } },
        endpointsAre("catalog", [
          { address: "10.0.0.2", nodeName: "n1" },
          { address: "10.0.0.1", nodeName: "n1" },
          { address: "10.0.0.3", zone: "b", nodeName: "n1" },
        ]),
      ]),
    ).toEqual([
      ["north/a", 2, "10.0.0.1:8080", "10.0.0.2:8080"],
      ["north/b", 1, "10.0.0.3:8080"],
    ]);
  });

  const ready = { ready: true };
  const terminating = { ready: false, serving: true, terminating: true };
  const dead = { ready: false, serving: false, terminating: true };
  test.each([
    ["a ready one keeps terminating ones out", [ready, terminating], ["10.0.0.0:8080"]],
    ["terminating ones that still serve are used when none is ready", [terminating, dead], ["10.0.0.0:8080"]],
    ["what does not serve is not used", [dead, { ready: false }], undefined],
    ["unknown conditions count as ready", [{}], ["10.0.0.0:8080"]],
  ])("%s", (_, conditions, expected) => {
    const all = conditions.map((condition, index) => ({ address: `10.0.0.${index}`, conditions: condition }));
    expect(addresses([...base, endpointsAre("catalog", all)])?.[0]?.slice(2)).toEqual(expected);
  });

  test("carry the Pod's port, found by the port's name", () => {
    expect(
      addresses([serviceIs("catalog", { grpc: 80 }), endpointsAre("catalog", ["10.0.0.1"], { grpc: 8080 })]),
    ).toEqual([["/", 1, "10.0.0.1:8080"]]);
  });
});

describe("matches of a rule", () => {
  const service = "shop.catalog.v1.CatalogService";
  test.each([
    ["nothing", {}, "prefix /"],
    ["a method", { method: { service, method: "Search" } }, `path /${service}/Search`],
    ["a service", { method: { service } }, `prefix /${service}/`],
    ["a method of any service", { method: { method: "Se+arch" } }, "~/[^/]+/Se\\+arch"],
    [
      "regular expressions",
      { method: { type: "RegularExpression", service: "shop\\..*", method: "Get|List" } },
      "~/(?:shop\\..*)/(?:Get|List)",
    ],
    ["headers", { headers: [{ name: "X-Canary", value: "yes" }] }, "prefix / x-canary=yes"],
    [
      "a header by regular expression",
      { headers: [{ type: "RegularExpression", name: "x-user", value: "(a|b)+" }] },
      "prefix / x-user~(a|b)+",
    ],
    [
      "one header twice",
      {
        headers: [
          { name: "x-a", value: "1" },
          { name: "X-A", value: "2" },
        ],
      },
      "prefix / x-a=1",
    ],
  ])("%s", (_, match, expected) => {
    const translation = translate([
      ...base,
      routeIs("r", { rules: [{ matches: [match], backendRefs: [to("catalog")] }] }),
    ]);
    expect(rules(translation)).toEqual([`${expected} → catalog.shop:8080`]);
    expect(verdicts(translation)).toEqual(["shop/r ok ok"]);
  });

  test("go from the most specific to the least, whatever their order", () => {
    const translation = translate([
      ...base,
      routeIs("r", {
        rules: [
          { matches: [{}], backendRefs: [to("catalog")] },
          { matches: [{ headers: [{ name: "x", value: "1" }] }], backendRefs: [to("catalog-v2")] },
          { matches: [{ method: { service } }], backendRefs: [to("catalog")] },
          { matches: [{ method: { service, method: "Search" } }], backendRefs: [to("catalog-v2")] },
        ],
      }),
    ]);
    expect(rules(translation).map((line) => line.split(" → ")[0])).toEqual([
      `path /${service}/Search`,
      `prefix /${service}/`,
      "prefix / x=1",
      "prefix /",
    ]);
  });
});

describe("backends", () => {
  const split = (...backendRefs: object[]) => [...base, routeIs("r", { rules: [{ backendRefs }] })];
  test.each([
    [
      "weights",
      [to("catalog", { weight: 90 }), to("catalog-v2", { weight: 10 })],
      "catalog.shop:8080*90 catalog-v2.shop:8080*10",
      "ok",
    ],
    ["a weight of none", [to("catalog", { weight: 0 }), to("catalog-v2")], "catalog-v2.shop:8080", "ok"],
    ["no weight at all", [to("catalog", { weight: 0 })], "no-backend", "ok"],
    [
      "one that does not exist fails its share",
      [to("catalog"), to("gone")],
      "catalog.shop:8080*1 no-backend*1",
      "BackendNotFound",
    ],
    ["a port that does not exist", [{ name: "catalog", port: 81 }], "no-backend", "BackendNotFound"],
    ["no port", [{ name: "catalog" }], "no-backend", "UnsupportedValue"],
    ["another kind", [to("catalog", { group: "x.io", kind: "Thing" })], "no-backend", "InvalidKind"],
    ["another namespace", [to("ledger", { namespace: "bank" })], "no-backend", "RefNotPermitted"],
    ["a name that can be nobody's", [to("a/b")], "no-backend", "BackendNotFound"],
    ["the same one twice", [to("catalog", { weight: 1 }), to("catalog", { weight: 2 })], "catalog.shop:8080", "ok"],
  ])("%s", (_, backendRefs, expected, resolved) => {
    const translation = translate(split(...backendRefs));
    expect(rules(translation)).toEqual([`prefix / → ${expected}`]);
    expect(verdicts(translation)).toEqual([`shop/r ok ${resolved}`]);
  });

  test.each([
    [grantIs("bank", "shop"), "ok"],
    [grantIs("bank", "shop", "ledger"), "ok"],
    [grantIs("bank", "shop", "vault"), "RefNotPermitted"],
    [grantIs("bank", "other"), "RefNotPermitted"],
    [grantIs("other", "shop"), "RefNotPermitted"],
  ])("of another namespace need a grant there (case %#)", (grant, expected) => {
    const changes = [...split(to("ledger", { namespace: "bank" })), serviceIs("ledger.bank"), grant];
    expect(verdicts(translate(changes))).toEqual([`shop/r ok ${expected}`]);
  });
});

describe("header changes", () => {
  test("become Envoy's header options", () => {
    const filters = [
      {
        type: "RequestHeaderModifier",
        requestHeaderModifier: {
          set: [{ name: "X-Set", value: "1" }],
          add: [{ name: "x-add", value: "2" }],
          remove: ["X-Old"],
        },
      },
      { type: "ResponseHeaderModifier", responseHeaderModifier: { remove: ["x-internal"] } },
    ];
    const { routes } = translate([...base, routeIs("r", { rules: [{ filters, backendRefs: [to("catalog")] }] })]);
    expect(routes[0]?.virtualHosts[0]?.routes[0]).toMatchObject({
      requestHeadersToAdd: [
        { header: { key: "x-set", value: "1" }, appendAction: 2 },
        { header: { key: "x-add", value: "2" }, appendAction: 0 },
      ],
      requestHeadersToRemove: ["x-old"],
      responseHeadersToRemove: ["x-internal"],
    });
  });
});

describe("what can't be understood refuses the route, and only it", () => {
  const ok = { backendRefs: [to("catalog-v2")], matches: [{ headers: [{ name: "x", value: "1" }] }] };
  test.each([
    ["a method that is no RE2", { matches: [{ method: { type: "RegularExpression", method: "(?=x)" } }] }],
    [
      "parts that only together are an expression",
      { matches: [{ method: { type: "RegularExpression", service: "(a", method: "b)" } }] },
    ],
    [
      "an expression that explodes",
      { matches: [{ headers: [{ type: "RegularExpression", name: "x", value: "((a{100}){100}){100}" }] }] },
    ],
    ["a header that is no RE2", { matches: [{ headers: [{ type: "RegularExpression", name: "x", value: "[" }] }] }],
    ["a type of match that came later", { matches: [{ method: { type: "Glob", method: "x" } }] }],
    ["a binary header", { matches: [{ headers: [{ name: "token-bin", value: "x" }] }] }],
    ["a mirror", { filters: [{ type: "RequestMirror", requestMirror: { backendRef: to("catalog") } }] }],
    ["a filter of a backend", { backendRefs: [to("catalog", { filters: [{ type: "ExtensionRef" }] })] }],
    [
      "a change of a header that is the protocol's",
      { filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { remove: ["grpc-timeout"] } }] },
    ],
    [
      "a change of the principal, which only the mesh sets",
      {
        filters: [
          { type: "RequestHeaderModifier", requestHeaderModifier: { set: [{ name: "Weft-User", value: "root" }] } },
        ],
      },
    ],
    [
      "a header value that gRPC cannot send",
      {
        filters: [
          { type: "ResponseHeaderModifier", responseHeaderModifier: { add: [{ name: "x-note", value: "caf\u00e9" }] } },
        ],
      },
    ],
    [
      "a quotation that would swallow what follows the expression",
      { matches: [{ method: { type: "RegularExpression", service: "a", method: "\\Qb" } }] },
    ],
    [
      "an expression longer than clients compile",
      { matches: [{ headers: [{ type: "RegularExpression", name: "x", value: "a".repeat(4_097) }] }] },
    ],
    ["session persistence", { sessionPersistence: {} }],
    ["a field of a rule that came later", { timeouts: { request: "1s" } }],
    ["a field of a match that came later", { matches: [{ queryParams: [{ name: "a", value: "b" }] }] }],
    ["a field of a method that came later", { matches: [{ method: { service: "a", caseSensitive: false } }] }],
    ["a field of a header match that came later", { matches: [{ headers: [{ name: "x", value: "1", not: true }] }] }],
    [
      "a field of a filter that came later",
      { filters: [{ type: "RequestHeaderModifier", requestHeaderModifier: { remove: ["x"] }, when: "always" }] },
    ],
    ["a field of a backend that came later", { backendRefs: [to("catalog", { fraction: 5 })] }],
  ])("%s", (_, rule) => {
    const translation = translate([
      ...base,
      routeIs("bad", { rules: [ok, { backendRefs: [to("catalog")], ...rule }] }),
      routeIs("good", { rules: [ok] }),
    ]);
    expect(verdicts(translation).sort()).toEqual(["shop/bad UnsupportedValue ok", "shop/good ok ok"]);
    expect(rules(translation)).toEqual(["prefix / x=1 → catalog-v2.shop:8080"]);
  });

  test("a Service whose only route is refused goes on as without it", () => {
    const translation = translate([...base, routeIs("bad", { rules: [] })]);
    expect(rules(translation)).toEqual(["prefix / → catalog.shop:8080"]);
  });
});

describe("parents", () => {
  test.each([
    ["a Service that isn't there", [parent("gone")], "gone"],
    ["a port that isn't there", [parent("catalog", { port: 81 })], "catalog"],
    ["a section that isn't there", [parent("catalog", { sectionName: "http" })], "catalog"],
  ])("%s", (_, parents, name) => {
    const changes = [...base, routeIs("r", { parents, rules: [{ backendRefs: [to("catalog-v2")] }] })];
    expect(verdicts(translate(changes, serviceKey("shop", name)))).toEqual(["shop/r NoMatchingParent ok"]);
    expect(rules(translate(changes))).toEqual(["prefix / → catalog.shop:8080"]);
  });

  test("a port or section binds the route to that port alone", () => {
    const two = serviceIs("catalog", { grpc: 8080, admin: 81 });
    for (const more of [{ port: 81 }, { sectionName: "admin" }]) {
      const { routes } = translate([
        two,
        serviceIs("catalog-v2"),
        routeIs("r", { parents: [parent("catalog", more)], rules: [{ backendRefs: [to("catalog-v2")] }] }),
      ]);
      const clusters = routes.map(({ name, virtualHosts }) => [
        name,
        virtualHosts[0]?.routes.map(({ action }) => action.case === "route" && action.value.clusterSpecifier.value),
      ]);
      expect(clusters).toEqual([
        ["catalog.shop:8080", ["catalog.shop:8080"]],
        ["catalog.shop:81", ["catalog-v2.shop:8080"]],
      ]);
    }
  });

  test("a route of a Gateway is somebody else's", () => {
    const translation = translate([...base, routeIs("r", { parents: [{ name: "catalog" }], rules: [] })]);
    expect(translation.outcomes).toEqual([]);
  });
});

describe("several routes of one Service", () => {
  const header = { matches: [{ headers: [{ name: "x", value: "1" }] }], backendRefs: [to("catalog-v2")] };
  test("are one list, the more specific first", () => {
    const translation = translate([
      ...base,
      routeIs("all", { rules: [{ backendRefs: [to("catalog")] }] }),
      routeIs("canary", { rules: [header], createdAt: "2027-01-01T00:00:00Z" }),
    ]);
    expect(rules(translation)).toEqual(["prefix / x=1 → catalog-v2.shop:8080", "prefix / → catalog.shop:8080"]);
  });

  test("that say the same are in conflict: the older one is in force", () => {
    const translation = translate([
      ...base,
      routeIs("a-younger", { rules: [{ backendRefs: [to("catalog")] }], createdAt: "2026-02-01T00:00:00Z" }),
      routeIs("b-older", { rules: [{ backendRefs: [to("catalog-v2")] }], createdAt: "2026-01-01T00:00:00Z" }),
    ]);
    expect(verdicts(translation)).toEqual(["shop/b-older ok ok", "shop/a-younger RouteConflict ok"]);
    expect(rules(translation)).toEqual(["prefix / → catalog-v2.shop:8080"]);
  });

  test("of one age are ordered by name, and a conflict in part is told as such", () => {
    const translation = translate([
      ...base,
      routeIs("b", { rules: [{ backendRefs: [to("catalog")] }, header] }),
      routeIs("a", { rules: [{ backendRefs: [to("catalog-v2")] }] }),
    ]);
    expect(verdicts(translation)).toEqual(["shop/a ok ok", "shop/b ok ok"]);
    expect(translation.outcomes.map(({ partlyInvalid }) => reason(partlyInvalid))).toEqual(["ok", "RouteConflict"]);
    expect(rules(translation)).toHaveLength(2);
  });
});

describe("consumer routes", () => {
  const mine = routeIs("mine.web", {
    parents: [parent("catalog", { namespace: "shop" })],
    rules: [{ backendRefs: [to("stub")] }],
  });
  test("apply to clients of their namespace alone, in place of the producer's", () => {
    const translation = translate([
      ...base,
      serviceIs("stub.web"),
      mine,
      routeIs("theirs", { rules: [{ backendRefs: [to("catalog-v2")] }] }),
    ]);
    expect(rules(translation)).toEqual(["prefix / → catalog-v2.shop:8080"]);
    expect(rules(translation, "web")).toEqual(["prefix / → stub.web:8080"]);
    expect([...translation.consumerRoutes.keys()]).toEqual(["web"]);
  });

  test("are not in conflict with the producer's", () => {
    const translation = translate([
      ...base,
      serviceIs("stub.web"),
      mine,
      routeIs("theirs", { rules: [{ backendRefs: [to("catalog")] }] }),
    ]);
    expect(verdicts(translation).sort()).toEqual(["shop/theirs ok ok", "web/mine ok ok"]);
  });
});
