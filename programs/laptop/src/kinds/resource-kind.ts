import type { Schema } from "./schema.js";

/** A JSON object, as it is stored and sent. Never changed once it is in the store. */
export type Json = { readonly [field: string]: unknown };

/** One thing that is wrong with an object: goes into `causes` of a Status. */
export interface Cause {
  /** As in `spec.rules[0].backendRefs[0].weight`. */
  readonly field: string;
  readonly reason:
    | "FieldValueInvalid"
    | "FieldValueRequired"
    | "FieldValueNotSupported"
    | "FieldValueForbidden"
    | "FieldValueDuplicate"
    | "FieldValueTooLong"
    | "FieldValueTooMany"
    | "FieldValueTypeInvalid"
    | "FieldManagerConflict"
    | "DisruptionBudget";
  readonly message: string;
}

/** A column of `kubectl get`. */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  /** Above 0 only with `-o wide`. */
  readonly priority?: number;
  readonly value: (object: Json, nowMs: number) => string | number | boolean | undefined;
}

/** A kind that the API serves: its names, where it lives, how it is judged and shown. */
export interface ResourceKind {
  readonly group: string;
  /** Served versions, the stored one first. Objects are alike in all of them but for `apiVersion`. */
  readonly versions: readonly string[];
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Built-in kinds take strategic merge patches and refuse wrong types with 400; custom ones as CRDs do. */
  readonly builtIn: boolean;
  readonly schema: Schema;
  readonly columns: readonly Column[];
  /** Whether `status` is written only through the subresource. */
  readonly hasStatus: boolean;
  /** Whether `metadata.generation` counts changes of what is not status. */
  readonly hasGeneration: boolean;
  /** Where `scale` finds its numbers and selector. */
  readonly scale: boolean;
  /** Fields that a field selector may name, beside name and namespace. */
  readonly selectableFields: readonly string[];
  /** How names must be: most are subdomains, Services and Namespaces labels. */
  readonly nameFormat: "label" | "subdomain" | "path-segment";
  /** Fills in what a schema default can't express. */
  readonly complete?: (object: Json) => Json;
  /** Rules across fields, and what must not change. `old` is there on updates. */
  readonly check?: (object: Json, old: Json | undefined) => readonly Cause[];
  /** Tests strings against patterns; custom kinds bring an engine of linear time. Default: JavaScript's own, for patterns of our tables. */
  readonly matchPattern?: (pattern: string, value: string) => boolean;
  /** Not written to disk: gone after a restart. */
  readonly ephemeral?: boolean;
}

/** The key of a kind: `deployments.apps`, `pods`. */
export function resourceKey(kind: Pick<ResourceKind, "plural" | "group">): string {
  return kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
}

export function groupVersion(
  kind: Pick<ResourceKind, "group" | "versions">,
  version = kind.versions[0] ?? "v1",
): string {
  return kind.group === "" ? version : `${kind.group}/${version}`;
}
