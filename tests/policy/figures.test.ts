import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isRecord } from "@weft/kube";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { at, list, root } from "./manifests.js";

const component = join(root, "k8s/components/prometheus");
const rules = list(at(parse(readFileSync(join(component, "stack/alerts.yaml"), "utf8")), "groups")).flatMap((group) =>
  list(at(group, "rules")),
);
const dashboards = readdirSync(join(component, "stack/dashboards")).map((file) => ({
  file,
  // JSON is YAML.
  dashboard: parse(readFileSync(join(component, "stack/dashboards", file), "utf8")),
}));

/** Every expression, with where it stands. */
const expressions: readonly (readonly [where: string, expression: string])[] = [
  ...rules.map((rule) => [`alert ${at(rule, "alert")}`, String(at(rule, "expr"))] as const),
  ...dashboards.flatMap(({ file, dashboard }) =>
    list(at(dashboard, "panels")).flatMap((panel) =>
      list(at(panel, "targets")).map(
        (target) => [`${file}: ${at(panel, "title")}`, String(at(target, "expr"))] as const,
      ),
    ),
  ),
];

/** By which call an instrument is made, directly or through a shorthand of its file, and what a scrape has of it. */
const suffixesOf: Readonly<Record<string, readonly string[]>> = {
  Counter: ["_total"],
  ObservableCounter: ["_total"],
  Histogram: ["_bucket", "_count", "_sum"],
  ObservableGauge: [""],
  duration: ["_bucket", "_count", "_sum"],
  histogram: ["_bucket", "_count", "_sum"],
  size: ["_bucket", "_count", "_sum"],
  gauge: [""],
};

/** The names that a scrape of all our processes can have, from the instruments in their sources. */
function exposedNames(): ReadonlySet<string> {
  // What Prometheus itself adds to each target.
  const names = new Set(["up"]);
  const making =
    /\b(?:create)?(ObservableCounter|ObservableGauge|Counter|Histogram|duration|histogram|size|gauge)\(\s*"([a-z0-9_.]+)"/g;
  for (const file of sourcesIn("packages").concat(sourcesIn("services"))) {
    for (const [, kind = "", name = ""] of readFileSync(file, "utf8").matchAll(making))
      for (const suffix of suffixesOf[kind] ?? []) names.add(name.replaceAll(".", "_") + suffix);
  }
  return names;
}

function sourcesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return ["node_modules", "dist", "gen"].includes(entry.name) ? [] : sourcesIn(path);
    return /(?<!\.test)\.ts$/.test(entry.name) ? [path] : [];
  });
}

/** The metrics that an expression names: what is neither a function, a keyword, a label nor text. */
function metricsIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, "")
    .replaceAll(/\{[^}]*\}/g, "")
    .replaceAll(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, "")
    .replaceAll(/\[[^\]]*\]/g, "");
  return [...bare.matchAll(/(?<![\w.])[a-z_]\w*(?!\w*\s*\()/g)]
    .map(([name]) => name)
    .filter((name) => !["or", "and", "unless", "by"].includes(name));
}

test("every figure that a rule or a dashboard names is one that our processes show", () => {
  const exposed = exposedNames();
  expect(exposed).toContain("grpc_server_call_duration_bucket");
  const unknown = expressions.flatMap(([where, expression]) =>
    metricsIn(expression)
      .filter((name) => !exposed.has(name))
      .map((name) => `${where}: ${name}`),
  );
  expect(unknown).toEqual([]);
  expect(expressions.flatMap(([, expression]) => metricsIn(expression)).length).toBeGreaterThan(expressions.length);
});

/** Gauges of what stands in a database: each replica of a service shows all of it. */
const countedByEach = /\b(weft_saga_(?:open|alarm)|shop_payments_\w*)\b/g;

test("what every replica counts alike is not added up over them", () => {
  const found = expressions.flatMap(([where, expression]) =>
    [...expression.matchAll(countedByEach)].map(({ index }) => [where, expression.slice(0, index)] as const),
  );
  expect(found.length).toBeGreaterThan(5);
  for (const [where, before] of found) expect(before, where).toMatch(/\bmax(?: by \([^)]*\) )?\($/);
});

test("a figure that is not shown is found in an expression, and what is none is passed over", () => {
  expect(
    metricsIn(
      'sum by (app, le) (rate(made_up_total{app=~"a.*", x!=""}[5m])) > 0.5 or absent(up{job="b"}) / other_count',
    ),
  ).toEqual(["made_up_total", "up", "other_count"]);
});

test("every alert says how bad it is, what is wrong, and which part of the operations guide helps", () => {
  const table = readFileSync(join(component, "README.md"), "utf8");
  const anchors = anchorsOf(readFileSync(join(root, "docs/operations.md"), "utf8"));
  for (const rule of rules) {
    const alert = String(at(rule, "alert"));
    const severity = String(at(rule, "labels", "severity"));
    expect(severity).toMatch(/^(page|ticket)$/);
    expect(String(at(rule, "annotations", "summary")).length).toBeGreaterThan(10);
    const anchor = /^docs\/operations\.md#([a-z-]+)$/.exec(String(at(rule, "annotations", "runbook_url")))?.[1] ?? "";
    expect(table, alert).toContain(`| ${alert} | ${severity} | \`${anchor}\` |`);
    expect(anchors, alert).toContain(anchor);
  }
});

/** Headings as the links to them. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

test("dashboards have a name of their own, a choice of Prometheus, and panels that ask it", () => {
  const uids = dashboards.map(({ dashboard }) => at(dashboard, "uid"));
  expect(new Set(uids).size).toBe(uids.length);
  for (const { file, dashboard } of dashboards) {
    expect(file).toBe(`${at(dashboard, "uid")}.json`);
    const variables = list(at(dashboard, "templating", "list"));
    expect(variables.filter(isRecord).map(({ name }) => name)).toContain("datasource");
    for (const panel of list(at(dashboard, "panels")))
      expect(at(panel, "datasource")).toEqual({ type: "prometheus", uid: "$" + "{datasource}" });
  }
});
