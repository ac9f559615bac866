import { recordAt } from "../kinds/path.js";
import type { Json, ResourceKind } from "../kinds/resource-kind.js";

/** How much of each object a Table's rows carry. */
export type IncludeObject = "None" | "Metadata" | "Object";

/** meta/v1 Table: what `kubectl get` prints, worked out by the server. */
export function tableOf(options: {
  readonly kind: ResourceKind;
  readonly objects: readonly Json[];
  readonly include: IncludeObject;
  readonly nowMs: number;
  /** Of the list; of the one object otherwise. */
  readonly metadata: Json;
}): Json {
  const { kind, objects, include, nowMs } = options;
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: options.metadata,
    columnDefinitions: kind.columns.map((column) => ({
      name: column.name,
      type: column.type,
      format: column.name === "Name" ? "name" : "",
      description: column.name,
      priority: column.priority ?? 0,
    })),
    rows: objects.map((object) => ({
      cells: kind.columns.map((column) => column.value(object, nowMs) ?? null),
      ...(include === "None" ? {} : { object: include === "Object" ? object : partial(object) }),
    })),
  };
}

/** An object of which only the metadata is sent. */
export function partial(object: Json): Json {
  return {
    kind: "PartialObjectMetadata",
    apiVersion: "meta.k8s.io/v1",
    metadata: recordAt(object, "metadata"),
  };
}
