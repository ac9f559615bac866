import type { Parsed } from "@weft/foundation";
import { flag, type Infer, list, map, number, object, optional, parseShape, type Shape, text } from "./shape.js";

export const ownerReference = object({
  apiVersion: text,
  kind: text,
  name: text,
  uid: text,
  controller: optional(flag),
  blockOwnerDeletion: optional(flag),
});

/** `metadata` as the API server gives it back. Lists of kinds without an identity (reviews) are the exception. */
export const objectMeta = object({
  name: text,
  namespace: optional(text),
  generateName: optional(text),
  uid: optional(text),
  resourceVersion: optional(text),
  generation: optional(number),
  creationTimestamp: optional(text),
  deletionTimestamp: optional(text),
  deletionGracePeriodSeconds: optional(number),
  labels: optional(map(text)),
  annotations: optional(map(text)),
  finalizers: optional(list(text)),
  ownerReferences: optional(list(ownerReference)),
});

/** `metadata` as a template or a new object may have it: no name yet. */
export const partialMeta = object({
  name: optional(text),
  namespace: optional(text),
  generateName: optional(text),
  labels: optional(map(text)),
  annotations: optional(map(text)),
  finalizers: optional(list(text)),
  ownerReferences: optional(list(ownerReference)),
  uid: optional(text),
  resourceVersion: optional(text),
});

export type OwnerReference = Infer<typeof ownerReference>;
export type ObjectMeta = Infer<typeof objectMeta>;
export type NewMeta = Infer<typeof partialMeta>;

/** What every Kubernetes object has. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** An object of which nothing but its identity is typed. */
export interface AnyObject extends KubeObject {
  readonly [field: string]: unknown;
}

/** What `create` takes: the client adds `apiVersion` and `kind`, the server the rest of `metadata`. */
export type NewObject<T extends KubeObject> = Omit<T, "apiVersion" | "kind" | "metadata"> & {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: NewMeta;
};

/** What a parser needs to know of a kind, and where the API has it. */
export interface KindInfo {
  /** `""` for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** The name in URLs: `endpointslices`. */
  readonly plural: string;
  readonly namespaced: boolean;
}

/** A kind of object and how its JSON is read. */
export interface Kind<T extends KubeObject = KubeObject> extends KindInfo {
  parse(value: unknown): Parsed<T>;
}

/** Which object: `namespace` only for namespaced kinds. */
export interface ObjectRef {
  readonly name: string;
  readonly namespace?: string;
}

/** `v1`, `apps/v1`. */
export function apiVersionOf(kind: Pick<KindInfo, "group" | "version">): string {
  return kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;
}

/** The key of an object in maps and logs: `namespace/name`, or `name` for cluster-wide kinds. */
export function keyOf(ref: ObjectRef): string {
  return ref.namespace === undefined ? ref.name : `${ref.namespace}/${ref.name}`;
}

/** Whether an object is of a kind, any version of its group. */
export function isKind(value: { readonly apiVersion: string; readonly kind: string }, kind: KindInfo): boolean {
  const slash = value.apiVersion.lastIndexOf("/");
  return value.kind === kind.kind && (slash < 0 ? "" : value.apiVersion.slice(0, slash)) === kind.group;
}

const base = object({ apiVersion: text, kind: text, metadata: objectMeta });

/** A kind whose objects have the given shape beside `apiVersion`, `kind` and `metadata`. */
export function defineKind<T>(info: KindInfo, shape: Shape<T>): Kind<KubeObject & T> {
  const apiVersion = apiVersionOf(info);
  const both: Shape<KubeObject & T> = { read: (value, path) => shape.read(base.read(value, path), path) };
  return {
    ...info,
    parse(value) {
      const read = parseShape(both, value);
      if (!read.ok) return { ok: false, error: `${info.kind}: ${read.error}` };
      if (read.value.kind !== info.kind || read.value.apiVersion !== apiVersion) {
        return {
          ok: false,
          error: `expected ${info.kind} ${apiVersion}, found ${read.value.kind} ${read.value.apiVersion}`,
        };
      }
      return read;
    },
  };
}

/** A kind of which only the place in the API is known; every field is kept and reachable as `unknown`. */
export function anyKind(info: KindInfo): Kind<AnyObject> {
  const anyShape: Shape<{ readonly [field: string]: unknown }> = { read: (value) => value };
  return defineKind(info, anyShape);
}
