import { element, notice, serviceColor } from "./element.js";
import { formatDuration, formatTime, plural } from "./format.js";
import { fetchTrace } from "./jaeger.js";
import { spanDetail } from "./span-detail.js";
import { buildTrace, failureOrigin, type TraceModel, timeByService, walk } from "./trace-model.js";
import { type WaterfallState, waterfall } from "./waterfall.js";

const pollMs = 700;
/** A trace counts as whole when nothing came for this many looks in a row, and no parent is missing. */
const quietLooks = 4;
const mostLooks = 25;
/** Nor is anything waited for when the trace ended so long ago: exporters send every few seconds. */
const settledAfterUs = 15_000_000;

/** Shows one trace, and looks again for a while: its last spans may still be on their way. */
export async function showTrace(main: HTMLElement, traceId: string, signal: AbortSignal): Promise<void> {
  const state: WaterfallState = { collapsed: new Set(), focused: undefined, chosen: spanInAddress() };
  let shown = -1;
  let quiet = 0;
  main.replaceChildren(notice("Looking for the trace", traceId, true));
  for (let look = 0; look < mostLooks && !signal.aborted; look++) {
    const answer = await fetchTrace(traceId, signal);
    if (answer.t === "error" && answer.status !== 404) {
      main.replaceChildren(notice("The trace can't be shown", answer.message));
      return;
    }
    const model = answer.t === "ok" && answer.data !== undefined ? buildTrace(answer.data) : undefined;
    const grew = model !== undefined && model.count !== shown;
    quiet = grew ? 0 : quiet + 1;
    const old = model !== undefined && Date.now() * 1_000 - model.endUs > settledAfterUs;
    const settled = model !== undefined && model.orphans === 0 && (quiet >= quietLooks || old);
    if (model !== undefined && (grew || settled)) {
      draw(main, model, state, !settled);
      shown = model.count;
    }
    if (settled) return;
    await pause(pollMs, signal);
  }
  if (signal.aborted) return;
  if (shown < 0)
    main.replaceChildren(
      notice("No such trace", `${traceId} is not here. It may have made room for newer ones, or never arrived.`),
    );
  else main.querySelector(".arriving")?.remove();
}

function draw(main: HTMLElement, model: TraceModel, state: WaterfallState, arriving: boolean): void {
  const hadFocus = main.querySelector(".rows")?.contains(document.activeElement) === true;
  const layout = element("div", { class: "layout" });
  const choose = (id: string | undefined): void => {
    state.chosen = id;
    history.replaceState(null, "", id === undefined ? location.pathname : `${location.pathname}#span=${id}`);
    showDetail();
  };
  const showDetail = (): void => {
    const node = [...walk(model.roots)].find((one) => one.id === state.chosen);
    layout.querySelector(".detail")?.remove();
    layout.classList.toggle("split", node !== undefined);
    if (node === undefined) return;
    layout.append(
      spanDetail(node, model, () => {
        choose(undefined);
        const rows = layout.querySelector(".rows");
        rows?.querySelector(".chosen")?.classList.remove("chosen");
        rows?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
      }),
    );
  };
  state.focused ??= state.chosen;
  layout.append(waterfall({ model, state, choose }));
  const reveal = (id: string): void => {
    state.collapsed.clear();
    state.focused = id;
    choose(id);
    layout.querySelector(".waterfall")?.replaceWith(waterfall({ model, state, choose }));
    layout.querySelector<HTMLElement>('.rows [tabindex="0"]')?.focus();
  };
  main.replaceChildren(summary(model, arriving, reveal), layout);
  showDetail();
  if (hadFocus) main.querySelector<HTMLElement>('.rows [tabindex="0"]')?.focus({ preventScroll: true });
  const root = model.roots[0];
  document.title =
    root === undefined ? "Trace · Weft" : `${root.title} · ${formatDuration(model.endUs - model.startUs)} · Weft`;
}

function summary(model: TraceModel, arriving: boolean, reveal: (id: string) => void): HTMLElement {
  const root = model.roots[0];
  const failed = model.failures > 0;
  return element(
    "section",
    { class: "summary" },
    element(
      "div",
      { class: "headline" },
      element("span", {
        class: root?.failed === true ? "pill bad" : failed ? "pill warn" : "pill good",
        text: root?.failed === true ? root.status : failed ? "OK after errors" : "OK",
      }),
      element(
        "h1",
        {},
        root !== undefined && root.prefix !== "" && element("span", { class: "prefix", text: `${root.prefix} ` }),
        root?.title ?? "Trace",
      ),
      arriving && element("span", { class: "arriving", text: "still arriving", attributes: { role: "status" } }),
    ),
    element("p", { class: "sub" }, formatTime(model.startUs), element("code", { text: model.traceId })),
    element(
      "dl",
      { class: "figures" },
      figure("Duration", formatDuration(model.endUs - model.startUs)),
      figure("Spans", String(model.count)),
      figure("Services", String(model.services.length)),
      figure("Errors", String(model.failures), failed ? "bad" : ""),
      figure("Retries", String(model.retries), model.retries > 0 ? "warn" : ""),
    ),
    failure(model, reveal),
    shares(model),
  );
}

/** What went wrong first, in one line that leads to its span. */
function failure(model: TraceModel, reveal: (id: string) => void): HTMLElement | undefined {
  const origin = failureOrigin(model);
  if (origin === undefined) return undefined;
  const { node, message } = origin;
  return element(
    "button",
    {
      class: model.roots[0]?.failed === true ? "cause bad" : "cause warn",
      attributes: { type: "button" },
      on: { click: () => reveal(node.id) },
    },
    element("b", { text: `${node.service} ${node.title}` }),
    element("span", { text: [node.status, message].filter((text) => text !== "").join(": ") }),
  );
}

function figure(name: string, value: string, tone = ""): HTMLElement {
  return element("div", {}, element("dt", { text: name }), element("dd", { class: tone, text: value }));
}

/** Where the time went: the longest chain, by service. */
function shares(model: TraceModel): HTMLElement {
  const times = timeByService(model);
  const total = times.reduce((sum, time) => sum + time.us, 0) || 1;
  return element(
    "figure",
    { class: "shares" },
    element("figcaption", {
      text: "Where the time went",
      attributes: { title: "Time on the critical path, by service" },
    }),
    element(
      "div",
      { class: "stack", attributes: { "aria-hidden": "true" } },
      ...times.map(({ service, us }) =>
        element("i", { class: serviceColor(service, model.services), style: { "flex-grow": String(us / total) } }),
      ),
    ),
    element(
      "ul",
      {},
      ...times.map(({ service, us }) =>
        element(
          "li",
          { class: serviceColor(service, model.services) },
          element("span", { class: "dot", attributes: { "aria-hidden": "true" } }),
          element("span", { text: service }),
          element("b", { text: formatDuration(us) }),
          element("span", { class: "share", text: `${Math.round((us / total) * 100)} %` }),
        ),
      ),
    ),
    element("p", { class: "visually-hidden", text: `${plural(model.services.length, "service")} in this trace` }),
  );
}

function spanInAddress(): string | undefined {
  return /^#span=([0-9a-f]{16})$/.exec(location.hash)?.[1];
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    const stop = (): void => {
      clearTimeout(timer);
      resolve();
    };
    signal.addEventListener("abort", stop, { once: true });
  });
}
