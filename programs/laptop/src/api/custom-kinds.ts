import { RE2JS } from "re2js";
import { age, nameColumn } from "../kinds/columns.js";
import { at, listAt, recordAt, sameJson, textAt } from "../kinds/path.js";
import type { Column, Json, ResourceKind } from "../kinds/resource-kind.js";
import { metadataSchema, type Schema } from "../kinds/schema.js";
import type { KindRegistry } from "./kind-registry.js";
import type { ObjectStore, StoreEvent } from "./store.js";

/** Serves the kinds of CustomResourceDefinitions, those that are there and those that come. CEL rules in them are not evaluated. */
export function serveCustomKinds(options: {
  readonly store: ObjectStore;
  readonly kinds: KindRegistry;
  readonly now: () => string;
}): Disposable {
  const { store, kinds, now } = options;
  const definitions = kinds.byKey("customresourcedefinitions.apiextensions.k8s.io");
  if (definitions === undefined) return { [Symbol.dispose]() {} };
  const establish = (definition: Json): void => {
    kinds.add(fromDefinition(definition));
    const status = {
      conditions: ["NamesAccepted", "Established"].map((type) => {
        const old = listAt(definition, "status", "conditions").find((condition) => at(condition, "type") === type);
        return {
          type,
          status: "True",
          reason: type === "Established" ? "InitialNamesAccepted" : "NoConflicts",
          message: type === "Established" ? "the initial names have been accepted" : "no conflicts found",
          lastTransitionTime: textAt(old, "lastTransitionTime") || now(),
        };
      }),
      acceptedNames: at(definition, "spec", "names"),
      storedVersions: listAt(definition, "spec", "versions")
        .filter((version) => at(version, "storage") === true)
        .map((version) => textAt(version, "name")),
    };
    if (sameJson(definition["status"], status)) return;
    setImmediate(() => {
      const name = textAt(definition, "metadata", "name");
      const newest = store.get(definitions, "", name);
      if (newest !== undefined) store.put(definitions, { ...newest, status });
    });
  };
  const onEvent = (event: StoreEvent): void => {
    if (event.kind !== "customresourcedefinitions.apiextensions.k8s.io") return;
    if (event.type !== "DELETED") {
      establish(event.object);
      return;
    }
    const key = textAt(event.object, "metadata", "name");
    const kind = kinds.byKey(key);
    if (kind === undefined || kind.builtIn || kind.matchPattern === undefined) return;
    for (const object of store.list(kind)) store.remove(kind, object);
    kinds.remove(key);
  };
  const subscription = store.subscribe(store.version, onEvent);
  for (const definition of store.list(definitions)) establish(definition);
  return subscription;
}

/** The kind that a definition describes. */
export function fromDefinition(definition: Json): ResourceKind {
  const names = recordAt(definition, "spec", "names");
  const versions = listAt(definition, "spec", "versions").filter((version) => at(version, "served") === true);
  const stored = listAt(definition, "spec", "versions").find((version) => at(version, "storage") === true);
  const ordered = [stored, ...versions.filter((version) => version !== stored)].filter(
    (version) => version !== undefined,
  );
  const schema = recordAt(stored, "schema", "openAPIV3Schema") as Schema;
  const kind = textAt(names, "kind");
  return {
    group: textAt(definition, "spec", "group"),
    versions: ordered.map((version) => textAt(version, "name")),
    kind,
    plural: textAt(names, "plural"),
    singular: textAt(names, "singular") || kind.toLowerCase(),
    shortNames: listAt(names, "shortNames").map(String),
    categories: listAt(names, "categories").map(String),
    namespaced: at(definition, "spec", "scope") === "Namespaced",
    builtIn: false,
    schema: withMeta(schema),
    columns: columnsOf(listAt(stored, "additionalPrinterColumns")),
    hasStatus: at(stored, "subresources", "status") !== undefined,
    hasGeneration: true,
    scale: false,
    selectableFields: listAt(stored, "selectableFields").map((field) => textAt(field, "jsonPath").replace(/^\./, "")),
    nameFormat: "subdomain",
    matchPattern: matchLinear,
  };
}

function withMeta(schema: Schema): Schema {
  if (schema.type === undefined) return { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const properties = {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    ...schema.properties,
    metadata: metadataSchema,
  } as const;
  return { ...schema, properties };
}

const compiled = new Map<string, RE2JS | undefined>();

/** Patterns of others never run in an engine that can be made to hang. One that can't be read matches everything, as it would in no schema. */
function matchLinear(pattern: string, value: string): boolean {
  if (!compiled.has(pattern)) {
    let regex: RE2JS | undefined;
    try {
      regex = RE2JS.compile(pattern);
    } catch {
      // Upstream refuses such a definition when it is created; here the field stays unjudged.
      regex = undefined;
    }
    compiled.set(pattern, regex);
  }
  return compiled.get(pattern)?.matcher(value).find() ?? true;
}

function columnsOf(defined: readonly unknown[]): readonly Column[] {
  const columns = defined.map((column): Column => {
    const path = textAt(column, "jsonPath");
    const type = textAt(column, "type");
    const priority = at(column, "priority");
    return {
      name: textAt(column, "name"),
      type: type === "integer" || type === "number" || type === "boolean" ? type : "string",
      priority: typeof priority === "number" ? priority : 0,
      value: (object, nowMs) => {
        const found = simplePath(object, path);
        if (found === undefined || found === null) return undefined;
        if (type === "date") return age(String(found), nowMs);
        return typeof found === "object" ? JSON.stringify(found) : String(found);
      },
    };
  });
  if (columns.some((column) => column.name === "Age")) return [nameColumn, ...columns];
  const created: Column = {
    name: "Age",
    type: "string",
    value: (object, nowMs) => age(textAt(object, "metadata", "creationTimestamp"), nowMs),
  };
  return [nameColumn, ...columns, created];
}

/** The JSON paths that printer columns use: fields, indexes and `[?(@.type=="Ready")]`. */
function simplePath(object: unknown, path: string): unknown {
  let here = object;
  for (const [, field, index, key, value] of path.matchAll(
    /\.([A-Za-z0-9_-]+)|\[(\d+|\*)\]|\[\?\(@\.([\w-]+)==["']([^"']*)["']\)\]/g,
  )) {
    if (field !== undefined) here = at(here, field);
    else if (key !== undefined) here = listAt({ here }, "here").find((entry) => at(entry, key) === value);
    else here = at(here, index === "*" ? 0 : Number(index));
  }
  return here;
}
