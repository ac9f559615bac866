import { type Parsed, parsed, refused } from "@weft/foundation";
import { checkFields, type IgnoredField, servicesIn } from "../fields/check-fields.js";
import type { Path, RenderProblem } from "../render/node.js";
import { type RenderedObject, render } from "../render/render.js";
import type { NotApplied } from "./apply.js";

/** An overlay that the laptop can run. */
export interface Manifests {
  readonly objects: readonly RenderedObject[];
  /** Fields that mean nothing on one machine. */
  readonly ignored: readonly IgnoredField[];
}

/** Renders an overlay and looks at each field; what can't be honoured is refused with file and line. */
export async function loadManifests(options: {
  readonly checkout: string;
  readonly overlay: string;
}): Promise<Parsed<Manifests, readonly RenderProblem[]>> {
  const rendered = await render(options.overlay, { relativeTo: options.checkout });
  if (!rendered.ok) return rendered;
  const { problems, ignored } = checkFields(rendered.value, { services: await servicesIn(options.checkout) });
  if (problems.length > 0) return refused(problems);
  return parsed({ objects: rendered.value.objects, ignored });
}

/** `k8s/base/shop/orders/deployment.yaml:12: Deployment shop/orders: …` */
export function describeProblem({ file, line, message }: RenderProblem): string {
  return `${file}:${line}: ${message}`;
}

/** Where an object that the API refuses was written: the field that it is about, or the object. */
export function problemOf({ object, field, message }: NotApplied, manifests: Manifests): RenderProblem {
  const { namespace, name } = object.metadata;
  const shown = `${object.kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
  const found = manifests.objects.find((one) => one.object === object);
  const origin = found?.origin(pathOf(field ?? "")) ?? { file: "?", line: 0 };
  return { ...origin, message: `${shown}: ${message}` };
}

/** `spec.containers[0].name` as the way to it. */
function pathOf(field: string): Path {
  return [...field.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, index, name]) =>
    index === undefined ? (name ?? "") : Number(index),
  );
}
