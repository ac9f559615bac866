/**
 * The part of OpenAPI v3 that Kubernetes calls a structural schema. One description of a field serves validation, defaults, unknown
 * fields, strategic merge patch, server-side apply, `kubectl explain` and the OpenAPI documents.
 */
export interface Schema {
  readonly type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-map-type"?: "atomic" | "granular";
  readonly "x-kubernetes-patch-merge-key"?: string;
  readonly "x-kubernetes-patch-strategy"?: string;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-group-version-kind"?: readonly unknown[];
}

type Limits = Partial<Schema>;

export const str = (limits: Limits = {}): Schema => ({ type: "string", ...limits });
export const int = (limits: Limits = {}): Schema => ({ type: "integer", format: "int32", ...limits });
export const bool = (limits: Limits = {}): Schema => ({ type: "boolean", ...limits });
export const oneOf = (...words: readonly string[]): Schema => ({ type: "string", enum: words });
/** A number or a string: a port, a percentage, a quantity. */
export const intOrString = (limits: Limits = {}): Schema => ({ "x-kubernetes-int-or-string": true, ...limits });
/** A quantity such as `250m` or `64Mi`, or a bare number. */
export const quantity = (): Schema => ({ "x-kubernetes-int-or-string": true, format: "quantity" });
export const time = (): Schema => ({ type: "string", format: "date-time" });
/** Any JSON: fields that Weft neither reads nor judges. */
export const anything = (): Schema => ({ "x-kubernetes-preserve-unknown-fields": true });
/** An object whose fields are not judged. */
export const anyObject = (): Schema => ({ type: "object", "x-kubernetes-preserve-unknown-fields": true });
export const mapOf = (value: Schema): Schema => ({ type: "object", additionalProperties: value });
export const strMap = (): Schema => mapOf(str());

/** An object; a name that ends with `!` is required. */
export function obj(fields: Readonly<Record<string, Schema>>, limits: Limits = {}): Schema {
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  for (const [written, schema] of Object.entries(fields)) {
    const name = written.replace(/!$/, "");
    properties[name] = schema;
    if (name !== written) required.push(name);
  }
  return { type: "object", properties, ...(required.length === 0 ? {} : { required }), ...limits };
}

/** A list that is replaced whole. */
export const list = (items: Schema, limits: Limits = {}): Schema => ({
  type: "array",
  items,
  "x-kubernetes-list-type": "atomic",
  ...limits,
});

/** A list of different scalars, joined by value. */
export const setOf = (items: Schema, limits: Limits = {}): Schema => ({
  type: "array",
  items,
  "x-kubernetes-list-type": "set",
  "x-kubernetes-patch-strategy": "merge",
  ...limits,
});

/** A list of objects that `keys` tell apart. Strategic merge patch knows one key only: the first unless said otherwise. */
export function listBy(
  keys: readonly string[],
  items: Schema,
  limits: Limits & { readonly patchKey?: string } = {},
): Schema {
  const { patchKey, ...rest } = limits;
  return {
    type: "array",
    items,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": keys,
    "x-kubernetes-patch-merge-key": patchKey ?? keys[0] ?? "name",
    "x-kubernetes-patch-strategy": "merge",
    ...rest,
  };
}

/** The schema of a field that is known by name; a field called `constructor` is none of them. */
export function namedField(schema: Schema | undefined, field: string): Schema | undefined {
  const properties = schema?.properties;
  return properties !== undefined && Object.hasOwn(properties, field) ? properties[field] : undefined;
}

/** The schema of a field, as far as it is known. */
export function fieldSchema(schema: Schema | undefined, field: string): Schema | undefined {
  const own = namedField(schema, field);
  if (own !== undefined) return own;
  return typeof schema?.additionalProperties === "object" ? schema.additionalProperties : undefined;
}

/** The keys that tell the objects of a list apart; `undefined` for lists that are not maps. */
export function mapKeys(schema: Schema | undefined): readonly string[] | undefined {
  return schema?.["x-kubernetes-list-type"] === "map" ? schema["x-kubernetes-list-map-keys"] : undefined;
}

/** RFC 1123 label: names of Services, containers, ports. */
export const dnsLabel = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/** RFC 1123 subdomain: names of most objects. */
export const dnsSubdomain = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
export const port = (limits: Limits = {}): Schema => int({ minimum: 1, maximum: 65_535, ...limits });

export const metadataSchema = obj({
  name: str(),
  generateName: str(),
  namespace: str(),
  selfLink: str(),
  uid: str(),
  resourceVersion: str(),
  generation: int({ format: "int64" }),
  creationTimestamp: { ...time(), nullable: true },
  deletionTimestamp: time(),
  deletionGracePeriodSeconds: int({ format: "int64" }),
  labels: strMap(),
  annotations: strMap(),
  finalizers: setOf(str()),
  ownerReferences: listBy(
    ["uid"],
    obj({
      "apiVersion!": str(),
      "kind!": str(),
      "name!": str(),
      "uid!": str(),
      controller: bool(),
      blockOwnerDeletion: bool(),
    }),
  ),
  managedFields: list(anyObject()),
});

export const labelSelectorSchema = obj(
  {
    matchLabels: strMap(),
    matchExpressions: list(
      obj({ "key!": str(), "operator!": oneOf("In", "NotIn", "Exists", "DoesNotExist"), values: list(str()) }),
    ),
  },
  { "x-kubernetes-map-type": "atomic" },
);

export const conditionsSchema = listBy(
  ["type"],
  obj({
    "type!": str(),
    "status!": oneOf("True", "False", "Unknown"),
    observedGeneration: int({ format: "int64" }),
    lastTransitionTime: { ...time(), nullable: true },
    lastUpdateTime: { ...time(), nullable: true },
    lastProbeTime: { ...time(), nullable: true },
    lastHeartbeatTime: { ...time(), nullable: true },
    reason: str(),
    message: str(),
  }),
);
