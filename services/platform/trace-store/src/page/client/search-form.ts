import { element } from "./element.js";

/** What is searched for, as it stands in the page's address. */
export interface Search {
  readonly service: string;
  readonly operation: string;
  readonly minDuration: string;
  readonly maxDuration: string;
  readonly lookback: string;
  readonly errors: boolean;
}

const periods: readonly (readonly [string, string])[] = [
  ["5m", "last 5 minutes"],
  ["1h", "last hour"],
  ["6h", "last 6 hours"],
  ["48h", "last 2 days"],
];

export function searchFromAddress(params: URLSearchParams): Search {
  return {
    service: params.get("service") ?? "",
    operation: params.get("operation") ?? "",
    minDuration: params.get("minDuration") ?? "",
    maxDuration: params.get("maxDuration") ?? "",
    lookback: params.get("lookback") ?? "1h",
    errors: params.get("errors") === "true",
  };
}

/** The parameters of the address for a search; what is as by default is left out. */
export function addressOf(search: Search): string {
  const params = new URLSearchParams();
  for (const key of ["service", "operation", "minDuration", "maxDuration"] as const)
    if (search[key] !== "") params.set(key, search[key]);
  if (search.lookback !== "1h") params.set("lookback", search.lookback);
  if (search.errors) params.set("errors", "true");
  return params.size === 0 ? "/" : `/?${params}`;
}

export interface SearchFormOptions {
  readonly search: Search;
  readonly services: readonly string[];
  readonly operations: readonly string[];
  change(search: Search): void;
}

/** The search form. Each change is a new search; the two durations when they are left or Enter is pressed. */
export function searchForm(options: SearchFormOptions): HTMLFormElement {
  const { search, services, operations } = options;
  const service = select("Service", search.service, [["", "all services"], ...services.map(same)]);
  const operation = select("Operation", search.operation, [["", "all operations"], ...operations.map(same)]);
  operation.input.disabled = search.service === "";
  const min = duration("Longer than", search.minDuration, "e.g. 20ms");
  const max = duration("Shorter than", search.maxDuration, "e.g. 2s");
  const lookback = select("When", search.lookback, periods);
  const errors = element("input", { attributes: { type: "checkbox", id: "errors" } });
  errors.checked = search.errors;
  const form = element(
    "form",
    { class: "search", attributes: { role: "search", "aria-label": "Traces" } },
    service.field,
    operation.field,
    min.field,
    max.field,
    lookback.field,
    element("label", { class: "check", attributes: { for: "errors" } }, errors, "only errors"),
    element("button", { text: "Search", attributes: { type: "submit" } }),
  );
  const read = (): Search => ({
    service: service.input.value,
    // An operation belongs to its service.
    operation: service.input.value === search.service ? operation.input.value : "",
    minDuration: min.input.value.trim(),
    maxDuration: max.input.value.trim(),
    lookback: lookback.input.value,
    errors: errors.checked,
  });
  form.addEventListener("change", () => options.change(read()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    options.change(read());
  });
  return form;
}

function select(
  name: string,
  value: string,
  choices: readonly (readonly [string, string])[],
): { readonly field: HTMLElement; readonly input: HTMLSelectElement } {
  const known = choices.some(([choice]) => choice === value);
  const all = known ? choices : [...choices, same(value)];
  const input = element(
    "select",
    {},
    ...all.map(([choice, text]) => element("option", { text, attributes: { value: choice } })),
  );
  input.value = value;
  return { field: element("label", {}, element("span", { text: name }), input), input };
}

function duration(
  name: string,
  value: string,
  placeholder: string,
): { readonly field: HTMLElement; readonly input: HTMLInputElement } {
  const input = element("input", {
    attributes: { type: "text", placeholder, pattern: "([0-9.]+(us|µs|ms|s|m|h))+", size: "8", spellcheck: "false" },
  });
  input.value = value;
  return { field: element("label", { class: "short" }, element("span", { text: name }), input), input };
}

function same(text: string): readonly [string, string] {
  return [text, text];
}
