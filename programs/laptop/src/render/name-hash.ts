import { createHash } from "node:crypto";
import { type MapNode, plainValue, textAt } from "./node.js";

const letters = new Map([
  ["0", "g"],
  ["1", "h"],
  ["3", "k"],
  ["a", "m"],
  ["e", "t"],
]);

/** The suffix that kustomize gives a generated ConfigMap or Secret: it changes when and only when the content does. */
export function nameHash(root: MapNode): string {
  const field = (name: string): unknown => {
    const node = root.entries.get(name);
    return node === undefined ? "" : plainValue(node);
  };
  const kind = textAt(root, "kind") ?? "";
  // The name has a place in what is hashed, and kustomize always leaves it empty.
  const content: Record<string, unknown> = { kind, name: "", data: field("data") };
  if (kind === "Secret") content["type"] = field("type");
  for (const extra of kind === "Secret" ? ["stringData"] : ["binaryData"]) {
    if (root.entries.get(extra)?.kind === "map") content[extra] = field(extra);
  }
  const hex = createHash("sha256").update(goJson(content)).digest("hex");
  return [...hex.slice(0, 10)].map((digit) => letters.get(digit) ?? digit).join("");
}

/** JSON as Go's encoder writes it: keys sorted by their bytes, and what could be markup escaped. */
function goJson(value: unknown): string {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const entries = Object.entries(value).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return `{${entries.map(([key, item]) => `${goJson(key)}:${goJson(item)}`).join(",")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(goJson).join(",")}]`;
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
