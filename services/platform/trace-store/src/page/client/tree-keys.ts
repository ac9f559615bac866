/** One row of a tree, as the keyboard sees it. */
export interface TreeRow {
  readonly id: string;
  readonly parent: string | undefined;
  readonly expandable: boolean;
  readonly expanded: boolean;
}

/** What a key does in a tree (WAI-ARIA Authoring Practices, "Tree View"). */
export type TreeMove =
  | { readonly t: "focus"; readonly id: string }
  | { readonly t: "expand"; readonly id: string }
  | { readonly t: "collapse"; readonly id: string }
  | { readonly t: "choose"; readonly id: string }
  | { readonly t: "close" }
  | { readonly t: "none" };

/** The move that a key makes from the row `at`; `rows` are those in sight, top to bottom. */
export function treeMove(key: string, at: string, rows: readonly TreeRow[]): TreeMove {
  const index = rows.findIndex((row) => row.id === at);
  const row = rows[index];
  if (row === undefined) return { t: "none" };
  const focus = (to: TreeRow | undefined): TreeMove => (to === undefined ? { t: "none" } : { t: "focus", id: to.id });
  switch (key) {
    case "ArrowDown":
      return focus(rows[index + 1]);
    case "ArrowUp":
      return focus(rows[index - 1]);
    case "Home":
      return focus(rows[0]);
    case "End":
      return focus(rows[rows.length - 1]);
    case "ArrowRight":
      if (!row.expandable) return { t: "none" };
      return row.expanded ? focus(rows[index + 1]) : { t: "expand", id: row.id };
    case "ArrowLeft":
      if (row.expandable && row.expanded) return { t: "collapse", id: row.id };
      return focus(rows.find((other) => other.id === row.parent));
    case "Enter":
    case " ":
      return { t: "choose", id: row.id };
    case "Escape":
      return { t: "close" };
    default:
      return { t: "none" };
  }
}
