import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { kubectl } from "./command.js";
import { root } from "./environment.js";
import type { Images } from "./images.js";

const ours = "ghcr.io/weft-mesh/";

/** A folder for `kubectl apply -k`: an overlay of the checkout with the images of this run. */
export function overlayWith(overlay: string, images: Images): Disposable & { readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "weft-overlay-"));
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: [relative(folder, join(root, "k8s/overlays", overlay))],
    images: Object.entries(images).map(([name, reference]) => ({ name: ours + name, ...imageOf(reference) })),
  };
  // JSON is YAML.
  writeFileSync(join(folder, "kustomization.yaml"), JSON.stringify(kustomization, undefined, 2));
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

/** The images of an overlay that are not built here: Postgres, Jaeger. */
export async function foreignImages(overlay: string): Promise<string[]> {
  const rendered = await kubectl(["kustomize", join(root, "k8s/overlays", overlay)]);
  const images = [...rendered.matchAll(/^\s*(?:- )?image: (\S+)$/gm)].map(([, image = ""]) => image);
  return [...new Set(images)].filter((image) => !image.startsWith(ours));
}

/** `host/name:tag[@digest]` in the words of kustomize; the digest, where it is known, is what is pulled. */
function imageOf(reference: string): { newName: string; newTag?: string; digest?: string } {
  const [tagged = "", digest] = reference.split("@");
  const colon = tagged.lastIndexOf(":");
  const newName = tagged.slice(0, colon);
  return digest === undefined ? { newName, newTag: tagged.slice(colon + 1) } : { newName, digest };
}
