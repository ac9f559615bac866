import { cloneNode, type ListNode, type MapNode, type Node, nodeAt, type Problems, sameNode, textAt } from "../node.js";

/** `root` changed by the operations of a JSON patch (RFC 6902). The first operation that fails is reported and ends it. */
export function jsonPatch(root: MapNode, operations: ListNode, problems: Problems): MapNode {
  const patched = cloneNode(root);
  for (const operation of operations.items) {
    const failure = operation.kind === "map" ? apply(patched, operation) : "an operation has fields";
    if (failure !== undefined) {
      problems.report(operation.origin, `the JSON patch fails: ${failure}`);
      break;
    }
  }
  return patched;
}

function apply(root: MapNode, operation: MapNode): string | undefined {
  const op = textAt(operation, "op") ?? "";
  const path = textAt(operation, "path");
  const from = textAt(operation, "from");
  const value = operation.entries.get("value");
  const unknown = [...operation.entries.keys()].find((field) => !["op", "path", "from", "value"].includes(field));
  if (unknown !== undefined) return `an operation has no field "${unknown}"`;
  if (path === undefined) return "an operation needs a path";
  switch (op) {
    case "add":
      return value === undefined ? "add needs a value" : add(root, path, cloneNode(value));
    case "replace": {
      if (value === undefined) return "replace needs a value";
      const gone = remove(root, path);
      return typeof gone === "string" ? gone : add(root, path, cloneNode(value));
    }
    case "remove": {
      const gone = remove(root, path);
      return typeof gone === "string" ? gone : undefined;
    }
    case "move": {
      const moved = remove(root, from ?? "");
      return typeof moved === "string" ? moved : add(root, path, moved);
    }
    case "copy": {
      const copied = lookUp(root, from ?? "");
      return copied === undefined ? `"${from}" leads nowhere` : add(root, path, cloneNode(copied));
    }
    case "test": {
      const found = lookUp(root, path);
      return found !== undefined && value !== undefined && sameNode(found, value)
        ? undefined
        : `"${path}" holds something else`;
    }
    default:
      return `there is no operation "${op}"`;
  }
}

/** The steps of a JSON pointer (RFC 6901). */
function steps(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function lookUp(root: MapNode, pointer: string): Node | undefined {
  return steps(pointer).reduce<Node | undefined>(
    (at, step) => at && nodeAt(at, [at.kind === "list" ? position(step) : step]),
    root,
  );
}

function position(step: string): number {
  return /^(0|[1-9][0-9]*)$/.test(step) ? Number(step) : -1;
}

interface Place {
  readonly parent: MapNode | ListNode;
  readonly step: string;
}

function place(root: MapNode, pointer: string): Place | string {
  const last = pointer.lastIndexOf("/");
  const step = steps(pointer).at(-1);
  if (last < 0 || step === undefined) return `"${pointer}" is no path`;
  const parent = lookUp(root, pointer.slice(0, last));
  if (parent === undefined || parent.kind === "scalar") return `"${pointer}" leads nowhere`;
  return { parent, step };
}

function add(root: MapNode, pointer: string, value: Node): string | undefined {
  const at = place(root, pointer);
  if (typeof at === "string") return at;
  if (at.parent.kind === "map") {
    at.parent.entries.set(at.step, value);
    return undefined;
  }
  const index = at.step === "-" ? at.parent.items.length : position(at.step);
  if (index < 0 || index > at.parent.items.length) return `"${pointer}" is outside the list`;
  at.parent.items.splice(index, 0, value);
  return undefined;
}

function remove(root: MapNode, pointer: string): Node | string {
  const at = place(root, pointer);
  if (typeof at === "string") return at;
  if (at.parent.kind === "map") {
    const found = at.parent.entries.get(at.step);
    if (found === undefined) return `"${pointer}" leads nowhere`;
    at.parent.entries.delete(at.step);
    return found;
  }
  const [found] = position(at.step) < 0 ? [] : at.parent.items.splice(position(at.step), 1);
  return found ?? `"${pointer}" is outside the list`;
}
