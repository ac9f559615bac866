import { element, serviceColor } from "./element.js";
import { formatDuration } from "./format.js";
import { type SpanNode, type TraceModel, walk } from "./trace-model.js";
import { type TreeRow, treeMove } from "./tree-keys.js";

/** What the reader has done to the tree; kept while a trace still arrives and is drawn anew. */
export interface WaterfallState {
  readonly collapsed: Set<string>;
  focused: string | undefined;
  chosen: string | undefined;
}

export interface WaterfallOptions {
  readonly model: TraceModel;
  readonly state: WaterfallState;
  /** A span was chosen, or none is any more. */
  choose(id: string | undefined): void;
}

const tickCount = 5;

/** The waterfall: an ARIA tree with one row a span, its bar on a common time axis. */
export function waterfall(options: WaterfallOptions): HTMLElement {
  const { model, state } = options;
  const tree = element("div", { class: "rows", attributes: { role: "tree", "aria-label": "Spans of the trace" } });
  const draw = (): void => {
    const rows = visible(model, state);
    if (!rows.some((node) => node.id === state.focused)) state.focused = rows[0]?.id;
    tree.replaceChildren(...rows.map((node) => row(node, options)));
    placeLabels(tree);
  };
  const focus = (): void => {
    tree.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  };
  const toggle = (id: string): void => {
    if (!state.collapsed.delete(id)) state.collapsed.add(id);
  };
  tree.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const move = treeMove(event.key, state.focused ?? "", treeRows(model, state));
    if (move.t === "none") return;
    event.preventDefault();
    if (move.t === "focus") state.focused = move.id;
    else if (move.t === "expand" || move.t === "collapse") toggle(move.id);
    else if (move.t === "choose") options.choose(move.id);
    else options.choose(undefined);
    draw();
    focus();
  });
  tree.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : undefined;
    const id = target?.closest<HTMLElement>("[data-span]")?.dataset["span"];
    if (id === undefined) return;
    state.focused = id;
    if (target?.closest(".twist") !== null) toggle(id);
    else options.choose(state.chosen === id ? undefined : id);
    draw();
    focus();
  });
  draw();
  // Also the first time, when it comes into the document.
  new ResizeObserver(() => placeLabels(tree)).observe(tree);
  return element("div", { class: "waterfall" }, axis(model), tree);
}

function visible(model: TraceModel, state: WaterfallState): readonly SpanNode[] {
  const rows: SpanNode[] = [];
  const add = (nodes: readonly SpanNode[]): void => {
    for (const node of nodes) {
      rows.push(node);
      if (!state.collapsed.has(node.id)) add(node.children);
    }
  };
  add(model.roots);
  return rows;
}

function treeRows(model: TraceModel, state: WaterfallState): readonly TreeRow[] {
  const parents = new Map<string, string>();
  for (const node of walk(model.roots)) for (const child of node.children) parents.set(child.id, node.id);
  return visible(model, state).map((node) => ({
    id: node.id,
    parent: parents.get(node.id),
    expandable: node.children.length > 0,
    expanded: !state.collapsed.has(node.id),
  }));
}

function axis(model: TraceModel): HTMLElement {
  const total = model.endUs - model.startUs;
  const ticks = Array.from({ length: tickCount }, (_, index) => {
    const share = index / (tickCount - 1);
    return element("span", { class: "tick", text: formatDuration(total * share), style: { left: percent(share) } });
  });
  return element(
    "div",
    { class: "axis", attributes: { "aria-hidden": "true" } },
    element("span", { class: "axis-name", text: "Service and operation" }),
    element("div", { class: "axis-time" }, ...ticks),
  );
}

function row(node: SpanNode, { model, state }: WaterfallOptions): HTMLElement {
  const expandable = node.children.length > 0;
  const expanded = !state.collapsed.has(node.id);
  const color = serviceColor(node.service, model.services);
  return element(
    "div",
    {
      class: `row ${color}${node.failed ? " failed" : ""}${state.chosen === node.id ? " chosen" : ""}`,
      style: { "--depth": String(node.depth) },
      attributes: {
        role: "treeitem",
        tabindex: state.focused === node.id ? "0" : "-1",
        "data-span": node.id,
        "aria-level": String(node.depth + 1),
        "aria-selected": String(state.chosen === node.id),
        "aria-expanded": expandable ? String(expanded) : undefined,
        "aria-label": spoken(node, model),
      },
    },
    name(node, expandable, expanded),
    time(node, model),
  );
}

function name(node: SpanNode, expandable: boolean, expanded: boolean): HTMLElement {
  return element(
    "div",
    { class: "name" },
    element("span", {
      class: expandable ? "twist" : "twist leaf",
      text: expandable ? (expanded ? "▾" : "▸") : "",
    }),
    element("span", { class: "service", text: node.service }),
    element(
      "span",
      { class: "operation" },
      node.prefix !== "" && element("span", { class: "prefix", text: `${node.prefix} ` }),
      element("span", { class: "title", text: node.title }),
    ),
    node.attempt > 1 && element("span", { class: "chip retry", text: `attempt ${node.attempt}` }),
    node.orphan && element("span", { class: "chip", text: "parent missing" }),
    element("span", { class: `kind ${node.kind}`, text: node.kind }),
  );
}

function time(node: SpanNode, model: TraceModel): HTMLElement {
  const total = model.endUs - model.startUs;
  const share = (us: number): number => (us - model.startUs) / total;
  const width = (node.endUs - node.startUs) / total;
  const critical = model.critical
    .filter((part) => part.spanId === node.id)
    .map((part) =>
      element("i", {
        class: "critical",
        style: { left: percent(share(part.fromUs)), width: percent((part.toUs - part.fromUs) / total) },
      }),
    );
  return element(
    "div",
    { class: "time" },
    element("i", { class: `bar ${node.kind}`, style: { left: percent(share(node.startUs)), width: percent(width) } }),
    ...critical,
    element(
      "span",
      {
        class: `label ${node.kind}`,
        attributes: { "data-from": String(share(node.startUs)), "data-to": String(share(node.endUs)) },
      },
      formatDuration(node.endUs - node.startUs),
      node.failed && node.status !== "" && element("span", { class: "state", text: ` · ${node.status}` }),
      node.peer !== "" && element("span", { class: "peer", text: ` · → ${node.peer}` }),
    ),
  );
}

/** Puts each bar's label where it fits: after the bar, else within, else before; without the peer, then without the status, where it does not. */
function placeLabels(tree: HTMLElement): void {
  const labels = [...tree.querySelectorAll<HTMLElement>(".label")];
  for (const label of labels) label.classList.remove("within", "short", "brief");
  const widthOf = (label: HTMLElement, part: string): number =>
    label.querySelector<HTMLElement>(part)?.getBoundingClientRect().width ?? 0;
  // All reading before any writing: the layout is made once.
  const measured = labels.map((label) => ({
    label,
    axis: label.parentElement?.clientWidth ?? 1,
    whole: label.offsetWidth,
    state: widthOf(label, ".state"),
    peer: widthOf(label, ".peer"),
    from: Number(label.dataset["from"]),
    to: Number(label.dataset["to"]),
  }));
  for (const { label, axis, whole, state, peer, from, to } of measured) {
    const fits = (width: number): boolean => {
      const wide = width / axis;
      const after = to + wide <= 1.02;
      const within = !after && to - from >= wide;
      label.classList.toggle("within", within);
      label.style.setProperty("left", percent(after ? to : within ? from : Math.max(0, from - wide)));
      return after || within || from >= wide;
    };
    if (fits(whole)) continue;
    label.classList.add("short");
    if (fits(whole - peer)) continue;
    label.classList.add("brief");
    fits(whole - peer - state);
  }
}

function spoken(node: SpanNode, model: TraceModel): string {
  const parts = [
    `${node.service}: ${node.prefix} ${node.title}`,
    node.kind,
    formatDuration(node.endUs - node.startUs),
    `starts after ${formatDuration(node.startUs - model.startUs)}`,
    node.status,
    node.failed ? "failed" : "",
    node.attempt > 1 ? `attempt ${node.attempt}` : "",
    node.peer === "" ? "" : `to ${node.peer}`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

function percent(share: number): string {
  return `${(share * 100).toFixed(4)}%`;
}
