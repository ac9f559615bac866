import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isRecord } from "@weft/kube";
import { render } from "@weft/laptop";

/** The checkout. */
export const root = fileURLToPath(new URL("../../", import.meta.url));
/** Every overlay, and the one that has the components which no overlay has. */
export const overlays: readonly string[] = [
  ...readdirSync(join(root, "k8s/overlays")).map((name) => `k8s/overlays/${name}`),
  "k8s/examples/monitored",
];

export type Json = Readonly<Record<string, unknown>>;

/** A practice that an object does not follow. */
export interface Breach {
  /** `Deployment shop/orders`. */
  readonly object: string;
  /** `spec.template.spec.containers[orders].resources.limits.cpu`. */
  readonly field: string;
  readonly message: string;
}

/** One rule of how our manifests are written. */
export interface Practice {
  /** What is so, in words. */
  readonly name: string;
  check(objects: readonly Json[]): readonly Breach[];
}

export const record = (value: unknown): Json => (isRecord(value) ? value : {});
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce((found, step) => record(found)[step], value);
export const same = (a: unknown, b: unknown): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, one]) => [key, sorted(one)]),
  );
};

/** What an overlay renders to, by the laptop's renderer. */
export async function objectsOf(overlay: string): Promise<readonly Json[]> {
  const rendered = await render(join(root, overlay), { relativeTo: root });
  if (!rendered.ok) throw new Error(JSON.stringify(rendered.error));
  return rendered.value.objects.map(({ object }) => object);
}

export const nameOf = (object: Json): string => String(at(object, "metadata", "name"));
export const namespaceOf = (object: Json): string => String(at(object, "metadata", "namespace") ?? "");
/** `Deployment shop/orders`, or `Namespace shop`. */
export const shown = (object: Json): string =>
  `${object["kind"]} ${[at(object, "metadata", "namespace"), nameOf(object)].filter(Boolean).join("/")}`;

export const ofKind = (objects: readonly Json[], ...kinds: readonly string[]): readonly Json[] =>
  objects.filter((object) => kinds.includes(String(object["kind"])));
/** What keeps Pods: Deployments, StatefulSets and Jobs. */
export const workloadsOf = (objects: readonly Json[]): readonly Json[] =>
  ofKind(objects, "Deployment", "StatefulSet", "Job");
/** What serves: the above without Jobs. */
export const serversOf = (objects: readonly Json[]): readonly Json[] => ofKind(objects, "Deployment", "StatefulSet");

/** The field of a workload that holds its Pods' spec. */
export const podField = "spec.template.spec";
export const podOf = (workload: Json): Json => record(at(workload, "spec", "template", "spec"));
export const podLabelsOf = (workload: Json): Json => record(at(workload, "spec", "template", "metadata", "labels"));

/** A container and the field that it is. */
export interface Container {
  readonly field: string;
  readonly container: Json;
}

/** The containers of a workload; the first is the one with its name. */
export function containersOf(workload: Json): readonly Container[] {
  return ["initContainers", "containers"].flatMap((kind) =>
    list(podOf(workload)[kind]).map((container) => ({
      container: record(container),
      field: `${podField}.${kind}[${at(container, "name")}]`,
    })),
  );
}

/** Whether a workload runs one of this checkout's programs. */
export const isOurs = (workload: Json): boolean =>
  containersOf(workload).some(({ container }) => String(container["image"]).startsWith("ghcr.io/weft-mesh/"));

/** A breach where `wrong`. */
export function breach(object: Json, field: string, message: string, wrong = true): readonly Breach[] {
  return wrong ? [{ object: shown(object), field, message }] : [];
}

/** The labels that a selector of equalities asks for are all there. */
export const selects = (selector: unknown, labels: Json): boolean =>
  Object.keys(record(selector)).length > 0 &&
  Object.entries(record(selector)).every(([key, value]) => labels[key] === value);
