import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Path, RenderProblem } from "../render/node.js";
import type { Rendered, RenderedObject } from "../render/render.js";
import { closest } from "./closest.js";
import { checkPodSpec, checkServicePorts } from "./cross-checks.js";
import type { FieldClass } from "./field-class.js";
import { kindFields, knownKinds } from "./kind-fields.js";

/** A field that changes nothing on one machine. */
export interface IgnoredField {
  readonly file: string;
  readonly line: number;
  /** What it belongs to, such as `Deployment shop/orders`. */
  readonly object: string;
  /** The field, such as `spec.template.spec.affinity`. */
  readonly field: string;
  readonly why: string;
}

/** What the field table says of a rendered kustomization. */
export interface FieldReport {
  readonly problems: readonly RenderProblem[];
  readonly ignored: readonly IgnoredField[];
}

/**
 * Classes every field of every object: what the laptop would have to leave out, does not know or cannot honour is a problem; what is
 * meaningless on one machine is listed. `services` are the names that images may have ({@link servicesIn}).
 */
export function checkFields(rendered: Rendered, options: { readonly services: ReadonlySet<string> }): FieldReport {
  const problems: RenderProblem[] = [];
  const ignored: IgnoredField[] = [];
  for (const entry of rendered.objects) {
    const { object } = entry;
    const named = describe(object);
    const report = (path: Path, message: string): void => {
      const { file, line } = entry.origin(path);
      problems.push({ file, line, message: `${named}: ${message}` });
    };
    const { apiVersion, kind } = object;
    const table = kindFields(String(apiVersion), String(kind));
    if (table === undefined) {
      report(["kind"], unknownKind(String(apiVersion), String(kind)));
      continue;
    }
    visit(object, table, [], {
      report,
      ignore: (path, why) => ignored.push({ ...entry.origin(path), object: named, field: shown(path), why }),
    });
    checkPodSpec(object, options.services, report);
    if (kind === "Service") checkServicePorts(object, rendered.objects, report);
  }
  problems.sort((a, b) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
  return { problems, ignored };
}

interface Visitor {
  readonly report: (path: Path, message: string) => void;
  readonly ignore: (path: Path, why: string) => void;
}

function visit(value: unknown, one: FieldClass, path: Path, visitor: Visitor): void {
  if (value === null || value === undefined) return;
  switch (one.t) {
    case "honoured":
      return;
    case "meaningless":
      visitor.ignore(path, one.why);
      return;
    case "refused":
      visitor.report(path, `the field "${shown(path)}" is not supported on the laptop: ${one.why}`);
      return;
    case "choice": {
      const chosen = one.of(value);
      if (chosen.t === "refused")
        visitor.report(path, `"${shown(path)}: ${String(value)}" is not supported on the laptop: ${chosen.why}`);
      else visit(value, chosen, path, visitor);
      return;
    }
    case "each":
      if (!Array.isArray(value)) visitor.report(path, `the field "${shown(path)}" is a list`);
      else for (const [index, item] of value.entries()) visit(item, one.item, [...path, index], visitor);
      return;
    case "fields": {
      if (typeof value !== "object" || Array.isArray(value)) {
        visitor.report(path, `the field "${shown(path)}" has fields of its own`);
        return;
      }
      for (const [field, item] of Object.entries(value)) {
        const known = Object.hasOwn(one.fields, field) ? one.fields[field] : undefined;
        if (known !== undefined) visit(item, known, [...path, field], visitor);
        else visitor.report([...path, field], unknownField([...path, field], Object.keys(one.fields)));
      }
    }
  }
}

function unknownField(path: Path, known: readonly string[]): string {
  const near = closest(String(path.at(-1)), known);
  return `there is no field "${shown(path)}"${near === undefined ? "" : `: did you mean "${near}"?`}`;
}

function unknownKind(apiVersion: string, kind: string): string {
  const name = `${apiVersion}/${kind}`;
  const sameKind = knownKinds.find((known) => known.endsWith(`/${kind}`));
  const near = sameKind ?? closest(name, knownKinds);
  return `the laptop has no kind "${name}"${near === undefined ? "" : `: did you mean "${near}"?`}`;
}

/** `spec.containers[0].image`. */
function shown(path: Path): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
    .join("")
    .replace(/^\./, "");
}

function describe(object: RenderedObject["object"]): string {
  const metadata = Object(object["metadata"]);
  const name = [metadata.namespace, metadata.name].filter((part) => part !== undefined).join("/");
  return `${String(object["kind"])} ${name}`;
}

/** One line on what is ignored, for the board; `undefined` when nothing is. */
export function summarizeIgnored(ignored: readonly IgnoredField[]): string | undefined {
  if (ignored.length === 0) return undefined;
  const reasons = [...new Set(ignored.map(({ why }) => why))];
  return `${ignored.length} fields mean nothing on one machine (weft up --explain lists them): ${reasons.join("; ")}`;
}

/** The names of the checkout's services: the folders `services/GROUP/NAME`. */
export async function servicesIn(checkout: string): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  const root = join(checkout, "services");
  for (const group of await readdir(root, { withFileTypes: true })) {
    if (!group.isDirectory()) continue;
    for (const service of await readdir(join(root, group.name), { withFileTypes: true }))
      if (service.isDirectory()) names.add(service.name);
  }
  return names;
}
