import type { JaegerTrace } from "../../query/jaeger-json.js";
import { element, notice, serviceColor } from "./element.js";
import { formatAgo, formatDuration, plural } from "./format.js";
import { type Answer, fetchOperations, fetchServices, searchTraces } from "./jaeger.js";
import { addressOf, type Search, searchForm, searchFromAddress } from "./search-form.js";
import { buildTrace, type TraceModel } from "./trace-model.js";

const limit = 50;

/** Shows the search and what it finds. `go` follows an address within the page. */
export async function showSearch(main: HTMLElement, go: (address: string) => void, signal: AbortSignal): Promise<void> {
  document.title = "Traces · Weft";
  const search = searchFromAddress(new URLSearchParams(location.search));
  const services = await fetchServices(signal);
  if (services.t === "error") {
    main.replaceChildren(notice("No traces can be shown", services.message));
    return;
  }
  const operations = search.service === "" ? undefined : await fetchOperations(search.service, signal);
  const results = element("section", { class: "results", attributes: { "aria-label": "Traces found" } });
  main.replaceChildren(
    searchForm({
      search,
      services: services.data,
      operations: operations?.t === "ok" ? operations.data : [],
      change: (changed) => go(addressOf(changed)),
    }),
    results,
  );
  if (location.hash === "#search") main.querySelector<HTMLElement>(".search select")?.focus();
  const found = await find(search, services.data, signal);
  if (signal.aborted) return;
  results.replaceChildren(
    ...(found.t === "error" ? [notice("That can't be searched for", found.message)] : list(found.data)),
  );
}

/** Jaeger's API searches in one service: for all of them, each is asked, and a trace that several have counts once. */
async function find(
  search: Search,
  services: readonly string[],
  signal: AbortSignal,
): Promise<Answer<readonly TraceModel[]>> {
  const traces = new Map<string, JaegerTrace>();
  const asked = search.service === "" ? services : [search.service];
  const answers = await Promise.all(asked.map((service) => searchTraces(paramsOf({ ...search, service }), signal)));
  for (const answer of answers) {
    if (answer.t === "error") return answer;
    for (const trace of answer.data) traces.set(trace.traceID, trace);
  }
  const models = [...traces.values()].map(buildTrace).sort((a, b) => b.startUs - a.startUs);
  return { t: "ok", data: models.slice(0, limit) };
}

function paramsOf(search: Search): URLSearchParams {
  const params = new URLSearchParams({ service: search.service, lookback: search.lookback, limit: String(limit) });
  for (const key of ["operation", "minDuration", "maxDuration"] as const)
    if (search[key] !== "") params.set(key, search[key]);
  if (search.errors) params.set("tags", JSON.stringify({ error: "true" }));
  return params;
}

function list(models: readonly TraceModel[]): readonly HTMLElement[] {
  if (models.length === 0)
    return [
      notice("Nothing found", "No trace in this period fits. Widen the search, or place an order and look again."),
    ];
  const longest = Math.max(...models.map((model) => model.endUs - model.startUs));
  const services = [...new Set(models.flatMap((model) => model.services))].sort();
  return [
    element("p", { class: "count", text: `${plural(models.length, "trace")}, newest first` }),
    element("ol", {}, ...models.map((model) => card(model, longest, services))),
  ];
}

function card(model: TraceModel, longestUs: number, services: readonly string[]): HTMLElement {
  const root = model.roots[0];
  const durationUs = model.endUs - model.startUs;
  const failed = root?.failed === true;
  return element(
    "li",
    {},
    element(
      "a",
      { class: failed ? "card failed" : "card", attributes: { href: `/trace/${model.traceId}` } },
      element(
        "span",
        { class: "what" },
        element("span", {
          class: `dot ${serviceColor(root?.service ?? "", services)}`,
          attributes: { "aria-hidden": "true" },
        }),
        element("span", { class: "service", text: root?.service ?? "" }),
        element("span", { class: "title", text: root?.title ?? "" }),
        failed && element("span", { class: "pill bad", text: root.status }),
        !failed && model.failures > 0 && element("span", { class: "pill warn", text: "OK after errors" }),
      ),
      element(
        "span",
        { class: "meter", attributes: { "aria-hidden": "true" } },
        element("i", { style: { width: `${Math.max(0.5, (durationUs / longestUs) * 100)}%` } }),
      ),
      element("span", { class: "duration", text: formatDuration(durationUs) }),
      element(
        "span",
        { class: "who" },
        ...model.services.map((service) =>
          element("span", { class: `tag ${serviceColor(service, services)}`, text: service }),
        ),
        element("span", { class: "spans", text: plural(model.count, "span") }),
      ),
      element("time", {
        text: formatAgo(model.startUs, Date.now()),
        attributes: { title: new Date(model.startUs / 1_000).toString() },
      }),
    ),
  );
}
