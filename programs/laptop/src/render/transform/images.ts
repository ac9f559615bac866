import type { ImageEntry } from "../kustomization.js";
import { type MapNode, type Node, scalarNode } from "../node.js";

/** Changes name, tag or digest of the image wherever containers use it. */
export function setImage(root: MapNode, entry: ImageEntry): void {
  walk(root, entry);
}

function walk(node: Node, entry: ImageEntry): void {
  if (node.kind === "list") for (const item of node.items) walk(item, entry);
  if (node.kind !== "map") return;
  for (const [field, value] of node.entries) {
    if ((field === "containers" || field === "initContainers") && value.kind === "list") {
      for (const container of value.items) if (container.kind === "map") change(container, entry);
    } else {
      walk(value, entry);
    }
  }
}

const reference = /^(?<name>.*?)(?<tag>:[a-zA-Z0-9_.{}-]*)?(?<digest>@sha256:[a-zA-Z0-9_.{}-]*)?$/;

function change(container: MapNode, entry: ImageEntry): void {
  const image = container.entries.get("image");
  if (image?.kind !== "scalar" || typeof image.value !== "string") return;
  const parts = reference.exec(image.value)?.groups;
  if (parts?.["name"] !== entry.name) return;
  const replaced = entry.newTag !== undefined || entry.digest !== undefined;
  const tag = replaced ? entry.newTag && `:${entry.newTag}` : parts["tag"];
  const digest = replaced ? entry.digest && `@${entry.digest}` : parts["digest"];
  const changed = `${entry.newName ?? entry.name}${tag ?? ""}${digest ?? ""}`;
  if (changed !== image.value) container.entries.set("image", scalarNode(changed, entry.origin));
}
