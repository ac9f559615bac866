import type { Attribute } from "../../store/span.js";
import { element, serviceColor } from "./element.js";
import { formatDuration } from "./format.js";
import { type SpanNode, type TraceModel, tagText } from "./trace-model.js";

/** Tags that the header of the panel says already. */
const saidAbove = new Set(["span.kind", "error", "otel.status_code", "otel.status_description"]);

/** The panel with everything known about one span. */
export function spanDetail(node: SpanNode, model: TraceModel, close: () => void): HTMLElement {
  const message = tagText(node.span, "otel.status_description");
  const label = `${node.prefix === "" ? "" : `${node.prefix}/`}${node.title}`;
  return element(
    "aside",
    { class: "detail", attributes: { "aria-label": `Span ${label}` } },
    element(
      "header",
      {},
      element(
        "div",
        {},
        element("p", { class: `tag ${serviceColor(node.service, model.services)}`, text: node.service }),
        element("h2", { text: label }),
      ),
      element("button", {
        class: "close",
        text: "×",
        attributes: { type: "button", "aria-label": "Close details" },
        on: { click: close },
      }),
    ),
    message !== "" && element("p", { class: "message", text: message }),
    facts(node, model),
    table(
      "Attributes",
      node.span.tags.filter((tag) => !saidAbove.has(tag.key)),
    ),
    ...events(node, model),
    table("Process", node.process),
    links(node),
  );
}

function facts(node: SpanNode, model: TraceModel): HTMLElement {
  const rows: readonly (readonly [string, string])[] = [
    ["Duration", formatDuration(node.endUs - node.startUs)],
    ["Starts at", `+${formatDuration(node.startUs - model.startUs)}`],
    ["Kind", node.kind],
    ["Status", node.status],
    ["Peer", node.peer],
    ["Attempt", node.attempt > 1 ? String(node.attempt) : ""],
    ["Span", node.id],
  ];
  const list = element("dl", { class: "facts" });
  for (const [name, value] of rows) {
    if (value === "") continue;
    list.append(
      element(
        "div",
        {},
        element("dt", { text: name }),
        element("dd", { class: name === "Status" && node.failed ? "bad" : "", text: value }),
      ),
    );
  }
  return list;
}

function table(title: string, attributes: readonly Attribute[]): HTMLElement | undefined {
  if (attributes.length === 0) return undefined;
  const rows = attributes.map(({ key, value }) =>
    element(
      "tr",
      {},
      element("th", { text: key, attributes: { scope: "row" } }),
      element("td", { class: typeof value === "string" ? "" : "number", text: String(value) }),
    ),
  );
  return element("section", {}, element("h3", { text: title }), element("table", {}, element("tbody", {}, ...rows)));
}

function events(node: SpanNode, model: TraceModel): readonly HTMLElement[] {
  return node.span.logs.flatMap((log) => {
    const name = log.fields.find((field) => field.key === "event")?.value ?? "event";
    const at = `+${formatDuration(log.timestamp - model.startUs)}`;
    const made = table(
      `${name} · ${at}`,
      log.fields.filter((field) => field.key !== "event"),
    );
    return made === undefined ? [element("section", {}, element("h3", { text: `${name} · ${at}` }))] : [made];
  });
}

function links(node: SpanNode): HTMLElement | undefined {
  const others = node.span.references.filter((reference) => reference.refType === "FOLLOWS_FROM");
  if (others.length === 0) return undefined;
  return element(
    "section",
    {},
    element("h3", { text: "Links" }),
    ...others.map((reference) =>
      element("a", { text: reference.traceID, attributes: { href: `/trace/${reference.traceID}` } }),
    ),
  );
}
