import { randomUUID } from "node:crypto";
import type { Clock } from "@weft/foundation";
import { isRecord } from "@weft/kube";
import { listAt, numberAt, recordAt, sameJson, textAt } from "../kinds/path.js";
import { type Cause, groupVersion, type Json, type ResourceKind } from "../kinds/resource-kind.js";
import { checkLabels, checkName, invalid } from "../kinds/rules.js";
import { judge, withDefaults } from "./judge.js";
import type { KindRegistry } from "./kind-registry.js";
import {
  addedFinalizers,
  finish,
  isStatus,
  keep,
  type PatchType,
  patchWith,
  podGrace,
  randomSuffix,
  sameOwners,
  specOf,
  strictError,
  withMetadata,
  withStatus,
} from "./object-parts.js";
import { applyIntent, trackUpdate, type Writer } from "./patch/managed-fields.js";
import {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  invalidObject,
  notFound,
  staleVersion,
} from "./status.js";
import type { ObjectStore } from "./store.js";

/** Where a write goes and on which terms. */
export interface WriteTarget {
  readonly kind: ResourceKind;
  /** The version in the path: what the answer's apiVersion says. */
  readonly version: string;
  readonly namespace: string;
  readonly subresource: "" | "status";
  /** The subresource that owns what is written, where it is not the one above: `scale` writes a number into the object itself. */
  readonly owner?: "scale";
  readonly manager: string;
  readonly dryRun: boolean;
  readonly fieldValidation: "Ignore" | "Warn" | "Strict";
  /** What the caller should know, sent as Warning headers. */
  readonly warnings: string[];
}

export interface DeleteTerms {
  readonly propagationPolicy: "Foreground" | "Background" | "Orphan";
  readonly gracePeriodSeconds: number | undefined;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly dryRun: boolean;
}

export const backgroundDelete: DeleteTerms = {
  propagationPolicy: "Background",
  gracePeriodSeconds: undefined,
  uid: undefined,
  resourceVersion: undefined,
  dryRun: false,
};

/** What a delete came to. */
export type Deleted = { readonly t: "gone" | "going"; readonly object: Json };

/** An object after its schema, with what the schema holds against it. */
interface Judged {
  readonly object: Json;
  readonly causes: readonly Cause[];
}

/** Creates, changes and deletes objects as the Kubernetes API does. Everything is synchronous: one writer, in order. */
export class ApiObjects {
  readonly #store: ObjectStore;
  readonly #kinds: KindRegistry;
  readonly #clock: Clock;

  constructor(options: { readonly store: ObjectStore; readonly kinds: KindRegistry; readonly clock: Clock }) {
    this.#store = options.store;
    this.#kinds = options.kinds;
    this.#clock = options.clock;
  }

  get(kind: ResourceKind, namespace: string, name: string): Json {
    const found = this.#store.get(kind, namespace, name);
    if (found === undefined) throw notFound(kind, name);
    return found;
  }

  create(target: WriteTarget, body: unknown): Json {
    const { kind, namespace } = target;
    const sent = this.#admit(target, body, "");
    const metadata = recordAt(sent, "metadata");
    const generateName = textAt(metadata, "generateName");
    const name = textAt(metadata, "name") || (generateName === "" ? "" : `${generateName}${randomSuffix()}`);
    if (textAt(metadata, "resourceVersion") !== "") {
      throw badRequest("resourceVersion should not be set on objects to be created");
    }
    this.#checkNamespace(kind, namespace, name);
    const { status: _status, ...withoutStatus } = sent;
    const judged = this.#judge(target, kind.hasStatus && kind.kind !== "Node" ? withoutStatus : sent, name, "body");
    const finished = finish(kind, {
      ...judged.object,
      metadata: {
        ...keep(metadata, ["generateName", "labels", "annotations", "finalizers", "ownerReferences"]),
        name,
        ...(kind.namespaced ? { namespace } : {}),
        uid: randomUUID(),
        ...(kind.hasGeneration ? { generation: 1 } : {}),
        creationTimestamp: this.#now(),
      },
    });
    this.#check(kind, name, finished, undefined, [...checkName(name, kind.nameFormat), ...judged.causes]);
    if (this.#store.get(kind, namespace, name) !== undefined) throw alreadyExists(kind, name);
    const owned = withMetadata(finished, {
      managedFields: trackUpdate(undefined, finished, kind.schema, this.#writer(target)),
    });
    return target.dryRun ? owned : this.#store.put(kind, owned);
  }

  replace(target: WriteTarget, name: string, body: unknown): Json {
    const { kind } = target;
    const old = this.get(kind, target.namespace, name);
    const sent = this.#admit(target, body, name);
    const version = textAt(sent, "metadata", "resourceVersion");
    if (version === "" && !kind.builtIn) {
      const named = { ...kind, kind: kind.plural };
      throw invalidObject(named, name, [invalid("metadata.resourceVersion", 0, "must be specified for an update")]);
    }
    return this.#update(target, old, this.#judge(target, sent, name, "body"));
  }

  patch(target: WriteTarget, name: string, type: PatchType, body: unknown, force: boolean): Json {
    const { kind, namespace } = target;
    const old = this.#store.get(kind, namespace, name);
    if (type === "apply") return this.#apply(target, name, old, body, force);
    if (old === undefined) throw notFound(kind, name);
    // A patch speaks the version of its path; its result is judged like an object that was sent whole.
    const shown = { ...old, apiVersion: groupVersion(kind, target.version) };
    const patched = patchWith(type, kind, shown, body);
    if (!isRecord(patched)) throw badRequest("the patch leaves no object");
    const sent = this.#admit(target, patched, name);
    return this.#update(target, old, this.#judge(target, sent, name, "patch"));
  }

  /** Deletes an object, or begins to: Pods get their grace, finalizers their turn. */
  remove(kind: ResourceKind, namespace: string, name: string, terms: DeleteTerms): Deleted {
    const object = this.get(kind, namespace, name);
    const metadata = recordAt(object, "metadata");
    for (const [field, label] of [
      ["uid", "UID"],
      ["resourceVersion", "ResourceVersion"],
    ] as const) {
      const wanted = terms[field];
      if (wanted === undefined || wanted === metadata[field]) continue;
      throw conflict(
        kind,
        name,
        `Precondition failed: ${label} in precondition: ${wanted}, ${label} in object meta: ${String(metadata[field])}`,
      );
    }
    const finalizers = new Set(listAt(metadata, "finalizers"));
    if (terms.propagationPolicy === "Foreground") finalizers.add("foregroundDeletion");
    if (terms.propagationPolicy === "Orphan") finalizers.add("orphan");
    const graceSeconds = kind.kind === "Pod" ? podGrace(object, terms.gracePeriodSeconds) : 0;
    const namespaceHolds = kind.kind === "Namespace" && listAt(object, "spec", "finalizers").length > 0;
    if (finalizers.size === 0 && graceSeconds === 0 && !namespaceHolds) {
      return { t: "gone", object: terms.dryRun ? object : this.#store.remove(kind, object) };
    }
    const begun = textAt(metadata, "deletionTimestamp") !== "";
    const leftSeconds = numberAt(metadata, "deletionGracePeriodSeconds") ?? Number.POSITIVE_INFINITY;
    if (begun && graceSeconds >= leftSeconds && finalizers.size === listAt(metadata, "finalizers").length) {
      return { t: "going", object };
    }
    const going: Json = {
      ...withMetadata(object, {
        ...(finalizers.size === 0 ? {} : { finalizers: [...finalizers] }),
        ...(begun && graceSeconds >= leftSeconds
          ? {}
          : { deletionTimestamp: this.#now(graceSeconds), deletionGracePeriodSeconds: graceSeconds }),
        ...(kind.hasGeneration && !begun ? { generation: (numberAt(metadata, "generation") ?? 0) + 1 } : {}),
      }),
      ...(kind.kind === "Namespace" ? { status: { ...recordAt(object, "status"), phase: "Terminating" } } : {}),
    };
    return { t: "going", object: terms.dryRun ? going : this.#store.put(kind, going) };
  }

  /** Reads what was sent: right kind, right name, right namespace. */
  #admit(target: WriteTarget, body: unknown, name: string): Json {
    const { kind, version, namespace } = target;
    if (!isRecord(body)) throw badRequest("the body of the request is not a JSON object");
    const apiVersion = groupVersion(kind, version);
    if (body["kind"] !== undefined && body["kind"] !== kind.kind) {
      throw badRequest(
        `${kind.kind} in version "${version}" cannot be handled as a ${kind.kind}: the object provided is of kind ${JSON.stringify(body["kind"])}`,
      );
    }
    if (body["apiVersion"] !== undefined && body["apiVersion"] !== apiVersion) {
      throw badRequest(
        `the API version in the data (${String(body["apiVersion"])}) does not match the expected API version (${apiVersion})`,
      );
    }
    const metadata = body["metadata"] ?? {};
    if (!isRecord(metadata)) throw badRequest("metadata is not an object");
    const sentNamespace = textAt(metadata, "namespace");
    if (kind.namespaced && sentNamespace !== "" && sentNamespace !== namespace) {
      throw badRequest(
        `the namespace of the provided object does not match the namespace sent on the request (${sentNamespace} and ${namespace})`,
      );
    }
    const sentName = textAt(metadata, "name");
    if (name !== "" && sentName !== "" && sentName !== name) {
      throw badRequest(`the name of the object (${sentName}) does not match the name on the URL (${name})`);
    }
    // Stored in the first version, whichever it came in.
    return { ...body, apiVersion: groupVersion(kind), kind: kind.kind, metadata };
  }

  /** Judges by the schema and fills in defaults. Throws 400 for wrong types and, under Strict, unknown fields; 422 for the rest. */
  #judge(target: WriteTarget, object: Json, name: string, from: "body" | "patch"): Judged {
    const { kind } = target;
    const judged = judge(withDefaults(object, kind.schema), kind.schema, kind.matchPattern);
    if (judged.unknown.length > 0 && target.fieldValidation !== "Ignore") {
      const all = judged.unknown.map((field) => `unknown field ${JSON.stringify(field)}`);
      if (target.fieldValidation === "Strict") throw strictError(kind, target.version, all.join(", "), from);
      target.warnings.push(...all);
    }
    if (judged.mistyped.length > 0) {
      if (!kind.builtIn) throw invalidObject(kind, name, judged.mistyped);
      const what = judged.mistyped.map((cause) => cause.message.replace(/^Invalid value: "\w+": /, "")).join(", ");
      const message = `${kind.kind} in version "${target.version}" cannot be handled as a ${kind.kind}: ${what}`;
      throw new ApiError(400, "BadRequest", message, { causes: judged.mistyped });
    }
    // Status is judged where it is written: what a main resource sends of it is dropped, and the other way round.
    const causes = kind.hasStatus
      ? judged.causes.filter((cause) => isStatus(cause) === (target.subresource === "status"))
      : judged.causes;
    // Upstream looks no further at a custom object that its schema refuses; of a built-in one it tells everything at once.
    if (causes.length > 0 && !kind.builtIn) throw invalidObject(kind, name, causes);
    return { object: isRecord(judged.pruned) ? judged.pruned : object, causes };
  }

  #update(target: WriteTarget, old: Json, judged: Judged, managedFields?: readonly unknown[]): Json {
    const { kind } = target;
    const sent = judged.object;
    const name = textAt(old, "metadata", "name");
    const oldMeta = recordAt(old, "metadata");
    const sentMeta = recordAt(sent, "metadata");
    const version = textAt(sentMeta, "resourceVersion");
    if (version !== "" && version !== oldMeta["resourceVersion"]) throw staleVersion(kind, name);
    const uid = textAt(sentMeta, "uid");
    if (uid !== "" && uid !== oldMeta["uid"]) {
      throw conflict(
        kind,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${String(oldMeta["uid"])}`,
      );
    }
    const now = target.subresource === "status" ? withStatus(old, sent) : this.#merged(kind, old, sent);
    if (target.subresource !== "status") {
      const causes = addedFinalizers(oldMeta, recordAt(now, "metadata"));
      this.#check(kind, name, now, old, [...causes, ...judged.causes]);
    } else if (judged.causes.length > 0) throw invalidObject(kind, name, judged.causes);
    if (sameJson(withMetadata(now, { managedFields: [] }), withMetadata(old, { managedFields: [] }))) {
      if (managedFields === undefined || sameOwners(managedFields, listAt(oldMeta, "managedFields"))) return old;
    }
    const specChanged =
      kind.hasGeneration && target.subresource === "" && !sameJson(specOf(kind, old), specOf(kind, now));
    const final = withMetadata(now, {
      managedFields: managedFields ?? trackUpdate(old, now, kind.schema, this.#writer(target)),
      ...(specChanged ? { generation: (numberAt(oldMeta, "generation") ?? 0) + 1 } : {}),
    });
    if (target.dryRun) return final;
    const done =
      textAt(final, "metadata", "deletionTimestamp") !== "" &&
      listAt(final, "metadata", "finalizers").length === 0 &&
      listAt(oldMeta, "finalizers").length > 0 &&
      (numberAt(final, "metadata", "deletionGracePeriodSeconds") ?? 0) === 0 &&
      kind.kind !== "Namespace";
    return done ? this.#store.remove(kind, final) : this.#store.put(kind, final);
  }

  /** What an update of the main resource may change; the rest stays as it was. */
  #merged(kind: ResourceKind, old: Json, sent: Json): Json {
    const { status: _sentStatus, ...body } = sent;
    const oldMeta = recordAt(old, "metadata");
    const metadata = {
      ...oldMeta,
      labels: undefined,
      annotations: undefined,
      finalizers: undefined,
      ownerReferences: undefined,
      ...keep(recordAt(sent, "metadata"), ["labels", "annotations", "finalizers", "ownerReferences"]),
    };
    const status = kind.hasStatus ? old["status"] : sent["status"];
    return finish(kind, {
      ...body,
      ...(status === undefined ? {} : { status }),
      metadata: Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined)),
    });
  }

  #apply(target: WriteTarget, name: string, old: Json | undefined, body: unknown, force: boolean): Json {
    const { kind } = target;
    const intent = this.#admit(target, body, name);
    if (!isRecord(body) || body["apiVersion"] === undefined || body["kind"] === undefined) {
      throw badRequest("error decoding YAML: apiVersion and kind must be set");
    }
    if (listAt(intent, "metadata", "managedFields").length > 0) throw badRequest("metadata.managedFields must be nil");
    // Judged before it is laid over: an intent is what its author wrote, without defaults.
    const judged = judge(intent, kind.schema, kind.matchPattern);
    if (judged.unknown.length > 0) {
      const fields = judged.unknown.map((field) => `.${field}: field not declared in schema`);
      throw new ApiError(
        500,
        "",
        `failed to create typed patch object (${textAt(body, "metadata", "namespace")}/${textAt(body, "metadata", "name")}; ${kind.group}/${target.version}, Kind=${kind.kind}): ${fields.join(", ")}`,
      );
    }
    const { status, ...withoutStatus } = intent;
    const scoped = target.subresource === "status" ? { metadata: {}, status } : kind.hasStatus ? withoutStatus : intent;
    const applied = applyIntent(old, scoped, kind.schema, this.#writer(target), force);
    if (applied.t === "conflict") {
      const list = applied.causes.map((cause) => `${cause.message}: ${cause.field}`).join("\n");
      throw new ApiError(
        409,
        "Conflict",
        `Apply failed with ${applied.causes.length} conflict${applied.causes.length === 1 ? "" : "s"}: ${list}`,
        { causes: applied.causes },
      );
    }
    if (!isRecord(applied.object)) throw badRequest("the intent leaves no object");
    if (old === undefined) {
      if (target.subresource !== "") throw notFound(kind, name);
      const named = withMetadata(applied.object, { name });
      const created = this.create({ ...target, dryRun: true }, named);
      const owned = withMetadata(created, { managedFields: applied.managedFields });
      return target.dryRun ? owned : this.#store.put(kind, owned);
    }
    const { resourceVersion: _old, ...metadata } = recordAt(applied.object, "metadata");
    const version = textAt(intent, "metadata", "resourceVersion");
    const sent = { ...applied.object, metadata: version === "" ? metadata : { ...metadata, resourceVersion: version } };
    return this.#update(target, old, this.#judge(target, sent, name, "patch"), applied.managedFields);
  }

  #checkNamespace(kind: ResourceKind, namespace: string, name: string): void {
    if (!kind.namespaced) return;
    const namespaces = this.#kinds.byKey("namespaces");
    if (namespaces === undefined) return;
    const found = this.get(namespaces, "", namespace);
    if (textAt(found, "metadata", "deletionTimestamp") === "") return;
    throw forbidden(
      `${kind.plural} "${name}" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
      { name, kind: kind.plural },
    );
  }

  #check(kind: ResourceKind, name: string, object: Json, old: Json | undefined, causes: readonly Cause[]): void {
    const all = [
      ...causes,
      ...checkLabels(recordAt(object, "metadata")["labels"], "metadata.labels"),
      ...checkLabels(recordAt(object, "metadata")["annotations"], "metadata.annotations", false),
      ...(kind.check?.(object, old) ?? []),
    ];
    const told = new Set<string>();
    const once = all.filter((cause) => {
      const key = `${cause.reason} ${cause.field}`;
      return !told.has(key) && told.add(key);
    });
    if (once.length > 0) throw invalidObject(kind, name, once);
  }

  #writer(target: WriteTarget): Writer {
    return {
      manager: target.manager,
      subresource: target.owner ?? target.subresource,
      apiVersion: groupVersion(target.kind, target.version),
      time: this.#now(),
    };
  }

  /** RFC 3339 in whole seconds, as upstream's Time. */
  #now(plusSeconds = 0): string {
    return `${new Date(this.#clock.wallMs() + plusSeconds * 1_000).toISOString().slice(0, 19)}Z`;
  }
}
