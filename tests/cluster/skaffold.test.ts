import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isRecord } from "@weft/kube";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { root } from "./environment.js";

const text = readFileSync(join(root, "skaffold.yaml"), "utf8");
const config = parseConfig(parse(text));
const services = readdirSync(join(root, "services"))
  .flatMap((group) => readdirSync(join(root, "services", group)).map((name) => ({ group, name })))
  .sort((a, b) => a.name.localeCompare(b.name));

interface Build {
  readonly artifacts: readonly {
    readonly image: string;
    readonly docker?: { readonly buildArgs: Readonly<Record<string, string>> };
    readonly custom?: { readonly buildCommand: string; readonly dependencies: { readonly paths: readonly string[] } };
  }[];
}

interface Config {
  readonly build: Build;
  readonly profiles: readonly { readonly name: string; readonly build?: Build; readonly patches?: unknown }[];
}

function parseConfig(value: unknown): Config {
  if (!isRecord(value)) throw new Error("skaffold.yaml is no mapping");
  return value as unknown as Config;
}

const byImage = (build: Build) => [...build.artifacts].sort((a, b) => a.image.localeCompare(b.image));

test("skaffold builds the image of every service from the one Dockerfile", () => {
  expect(byImage(config.build).map(({ image, docker }) => [image, docker?.buildArgs["SERVICE"]])).toEqual(
    services.map(({ name }) => [`ghcr.io/weft-mesh/${name}`, name]),
  );
});

test("skaffold builds the same images with buildah, each anew when what goes into it changes", () => {
  const build = config.profiles.find(({ name }) => name === "buildah")?.build;
  if (build === undefined) throw new Error("no profile buildah that builds");
  for (const [index, { image, custom }] of byImage(build).entries()) {
    const { group, name } = services[index] ?? { group: "", name: "" };
    expect(image).toBe(`ghcr.io/weft-mesh/${name}`);
    expect(custom?.buildCommand).toBe(`node scripts/images.mjs ${name} --skaffold --tool buildah`);
    expect(custom?.dependencies.paths).toContain(`services/${group}/${name}/src/**`);
    expect(custom?.dependencies.paths).toContain("Dockerfile");
  }
  expect(build.artifacts).toHaveLength(services.length);
});

test("skaffold's profiles replace what they name, and none patches by position", () => {
  expect(config.profiles.map(({ name }) => name)).toEqual(["dev", "cluster", "debug", "buildah"]);
  for (const profile of config.profiles) expect(profile.patches).toBeUndefined();
});
