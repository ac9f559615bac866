type Child = Node | string | undefined | false;

/** Attributes of an element; `class`, `text` and `on…` listeners among them. Text is set as text, never as HTML. */
export interface ElementOptions {
  readonly class?: string;
  readonly text?: string;
  readonly attributes?: Readonly<Record<string, string | undefined>>;
  /** Inline style, through the object model: the page's policy allows no style in markup. */
  readonly style?: Readonly<Record<string, string>>;
  readonly on?: Readonly<Record<string, (event: Event) => void>>;
}

/** Makes an element with children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  options: ElementOptions = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (options.class !== undefined) made.className = options.class;
  if (options.text !== undefined) made.textContent = options.text;
  for (const [name, value] of Object.entries(options.attributes ?? {}))
    if (value !== undefined) made.setAttribute(name, value);
  for (const [name, value] of Object.entries(options.style ?? {})) made.style.setProperty(name, value);
  for (const [name, listener] of Object.entries(options.on ?? {})) made.addEventListener(name, listener);
  for (const child of children) if (child !== undefined && child !== false) made.append(child);
  return made;
}

/** The class that gives a service its colour: the same wherever the same services are shown. */
export function serviceColor(service: string, services: readonly string[]): string {
  const index = [...services].sort().indexOf(service);
  return `c${(index < 0 ? 0 : index) % 8}`;
}

/** Shown in the place of content: waiting, empty or failed. */
export function notice(title: string, text: string, busy = false): HTMLElement {
  return element(
    "div",
    { class: "notice", attributes: { role: "status" } },
    busy && element("span", { class: "pulse", attributes: { "aria-hidden": "true" } }),
    element("h2", { text: title }),
    element("p", { text }),
  );
}
