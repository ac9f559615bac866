import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { must, runVerb } from "./command.js";
import { root, verb } from "./environment.js";

/** Service name → the reference that Pods of this cluster can pull. */
export type Images = Readonly<Record<string, string>>;

/** The images of this checkout, built and brought to the cluster once per run. */
export async function checkoutImages(): Promise<Images> {
  const known = join(process.env["WEFT_CLUSTER_RUN"] ?? "", "images.json");
  if (existsSync(known)) return parseImages(readFileSync(known, "utf8"));

  await baseImages();
  const registry = process.env["WEFT_REGISTRY"];
  if (registry === undefined && verb("load") === undefined)
    throw new Error(
      "set WEFT_REGISTRY to a registry (host/path) that this machine can push to and the cluster pulls from",
    );
  const tag = `test-${Date.now().toString(36)}`;
  const args = ["--tag", tag, ...(registry === undefined ? [] : ["--registry", registry, "--push"])];
  const said = await must(process.execPath, [join(root, "scripts/images.mjs"), ...args, ...localTooling()]);
  const images = Object.fromEntries(said.trim().split("\n").map(entryOf));
  if (registry === undefined) await runVerb("load", ...Object.values(images));
  writeFileSync(known, JSON.stringify(images));
  return images;
}

/** What a machine without Docker and without a way to public registries builds with. */
export function localTooling(): string[] {
  if (verb("base-images") === undefined) return [];
  return ["--tool", "buildah", "--bases", "local", "--plain-http"];
}

/** Brings images that are not ours into the cluster, where it can reach no public registry. */
export async function bringForeignImages(images: readonly string[]): Promise<void> {
  if (verb("load") === undefined) return;
  const known = join(process.env["WEFT_CLUSTER_RUN"] ?? "", "foreign.json");
  const there = existsSync(known) ? readFileSync(known, "utf8").split("\n") : [];
  const missing = images.filter((image) => !there.includes(image));
  if (missing.length === 0) return;
  await baseImages();
  await runVerb("load", ...missing);
  writeFileSync(known, [...there, ...missing].join("\n"));
}

async function baseImages(): Promise<void> {
  if (verb("base-images") !== undefined) await runVerb("base-images");
}

function entryOf(line: string): [string, string] {
  const [name = "", reference = ""] = line.split(" ");
  return [name, reference];
}

function parseImages(text: string): Images {
  return JSON.parse(text);
}
