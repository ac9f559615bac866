import { notice } from "./element.js";
import { showSearch } from "./search-view.js";
import { showTrace } from "./trace-view.js";

const main = document.querySelector("main");
let current = new AbortController();

/** Shows the view of the address; what the last one still waited for is called off. */
function show(): void {
  if (main === null) return;
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const trace = /^\/trace\/([0-9a-fA-F]{1,32})$/.exec(location.pathname)?.[1];
  const shown = trace === undefined ? showSearch(main, go, signal) : showTrace(main, trace.toLowerCase(), signal);
  shown.catch((error: unknown) => {
    if (!signal.aborted)
      main.replaceChildren(notice("The page failed", error instanceof Error ? error.message : "for an unknown reason"));
  });
}

function go(address: string): void {
  history.pushState(null, "", address);
  show();
}

/** Links within the page need no new document. */
document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (link === null || event.defaultPrevented || event.button !== 0) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.origin !== location.origin) return;
  event.preventDefault();
  go(link.pathname + link.search);
  scrollTo(0, 0);
});

/** Arrow keys find the tree from anywhere on the page; a slash goes to the search, from a trace too. */
document.addEventListener("keydown", (event) => {
  if (document.activeElement === document.body && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    const row = document.querySelector<HTMLElement>('.rows [tabindex="0"]');
    if (row !== null) event.preventDefault();
    row?.focus();
    return;
  }
  if (event.key !== "/" || event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement)
    return;
  event.preventDefault();
  const field = document.querySelector<HTMLElement>(".search select");
  if (field === null) go("/#search");
  else field.focus();
});

addEventListener("popstate", show);
show();
