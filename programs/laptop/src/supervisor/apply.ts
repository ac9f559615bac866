import { readFileSync, renameSync, writeFileSync } from "node:fs";
import {
  type AnyObject,
  anyKind,
  isKubeError,
  isRecord,
  type Kind,
  type KindInfo,
  type KubeClient,
  KubeError,
  keyOf,
} from "@weft/kube";

/** What is made before what: definitions, then the places that others stand in, then what processes are configured from. */
const firstKinds = [
  "CustomResourceDefinition",
  "Namespace",
  "ServiceAccount",
  "ClusterRole",
  "Role",
  "ClusterRoleBinding",
  "RoleBinding",
  "ConfigMap",
  "Secret",
  "Service",
];

/** An object that the API refuses; the message is the API's. */
export class NotApplied extends Error {
  override readonly name = "NotApplied";
  readonly object: AnyObject;
  /** The field that it is about, such as `spec.replicas`, when the API says. */
  readonly field: string | undefined;

  constructor(object: AnyObject, cause: KubeError) {
    super(cause.message, { cause });
    this.object = object;
    this.field = cause.details?.causes?.[0]?.field;
  }
}

/** What one `up` did to the API. */
export interface Applied {
  readonly created: number;
  readonly changed: number;
  readonly pruned: number;
}

/**
 * Brings the API to the manifests: makes what is missing, changes what differs, and removes what the last `up` applied and the manifests no longer have.
 * Fields that the manifests do not name stay as others set them; fields that they no longer name go. `file` remembers what was applied.
 */
export async function applyManifests(options: {
  readonly client: KubeClient;
  readonly objects: readonly AnyObject[];
  readonly file: string;
  readonly signal: AbortSignal;
}): Promise<Applied> {
  const { client, file, signal } = options;
  const kindOf = createDiscovery(client, signal);
  const before = readApplied(file);
  const { objects } = options;
  let created = 0;
  let changed = 0;
  const apply = async (written: AnyObject): Promise<void> => {
    const kind = await kindOf(written);
    const object = placed(kind, written);
    const found = await find(client, kind, object, signal);
    if (found === undefined) {
      await client.create(kind, object, { fieldValidation: "Strict", signal });
      created += 1;
      return;
    }
    const body = mergePatch(before.get(idOf(written)) ?? {}, object, found);
    if (body === undefined) return;
    await client.patch(kind, refOf(object), { t: "merge", body }, { fieldValidation: "Strict", signal });
    changed += 1;
  };
  for (const rank of [...new Set(objects.map(rankOf))].sort((x, y) => x - y)) {
    await Promise.all(
      objects
        .filter((object) => rankOf(object) === rank)
        .map((object) =>
          apply(object).catch((error: unknown) => {
            throw isKubeError(error) && !signal.aborted ? new NotApplied(object, error) : error;
          }),
        ),
    );
  }
  const wanted = new Set(objects.map(idOf));
  let pruned = 0;
  for (const [id, object] of [...before].reverse()) {
    if (wanted.has(id)) continue;
    try {
      const kind = await kindOf(object);
      await client.delete(kind, refOf(placed(kind, object)), { signal });
      pruned += 1;
    } catch (error) {
      if (!isKubeError(error, "not-found")) throw error;
    }
  }
  writeFileSync(`${file}.new`, JSON.stringify(objects), { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return { created, changed, pruned };
}

/** What names no namespace goes to `default`, as with `kubectl apply`. */
function placed(kind: Kind<AnyObject>, object: AnyObject): AnyObject {
  if (!kind.namespaced || object.metadata.namespace !== undefined) return object;
  return { ...object, metadata: { ...object.metadata, namespace: "default" } };
}

/** Finds where the API has the kind of an object, asking once for each group and version. */
function createDiscovery(client: KubeClient, signal: AbortSignal): (object: AnyObject) => Promise<Kind<AnyObject>> {
  const known = new Map<string, Kind<AnyObject>>();
  return async ({ apiVersion, kind }) => {
    const key = `${apiVersion}/${kind}`;
    if (!known.has(key)) {
      const path = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
      const { code, text } = await client.request({ method: "GET", path, signal });
      const [version = "", group = ""] = apiVersion.split("/").reverse();
      for (const resource of code === 200 ? parseResources(text) : []) {
        known.set(`${apiVersion}/${resource.kind}`, anyKind({ group, version, ...resource }));
      }
    }
    const found = known.get(key);
    if (found === undefined) throw new KubeError(`the API has no kind "${key}"`, { code: 404, reason: "NotFound" });
    return found;
  };
}

/** The kinds of an APIResourceList, without the subresources. */
function parseResources(text: string): readonly Pick<KindInfo, "kind" | "plural" | "namespaced">[] {
  const list: unknown = JSON.parse(text);
  const resources: readonly unknown[] = isRecord(list) && Array.isArray(list["resources"]) ? list["resources"] : [];
  return resources.flatMap((resource) => {
    if (!isRecord(resource) || String(resource["name"]).includes("/")) return [];
    return {
      kind: String(resource["kind"]),
      plural: String(resource["name"]),
      namespaced: resource["namespaced"] === true,
    };
  });
}

async function find(
  client: KubeClient,
  kind: Kind<AnyObject>,
  object: AnyObject,
  signal: AbortSignal,
): Promise<AnyObject | undefined> {
  try {
    return await client.get(kind, refOf(object), { signal });
  } catch (error) {
    if (isKubeError(error, "not-found")) return undefined;
    throw error;
  }
}

/**
 * The RFC 7386 patch that takes `found` to `wanted`: what `last` had and `wanted` has not is removed, the rest of `found` stays.
 * Lists are replaced whole. `undefined` when nothing differs.
 */
export function mergePatch(last: unknown, wanted: unknown, found: unknown): unknown {
  if (!isRecord(wanted) || !isRecord(found)) return sameJson(wanted, found) ? undefined : wanted;
  const patch: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(wanted)) {
    const change = mergePatch(isRecord(last) ? last[key] : undefined, value, found[key]);
    if (change !== undefined) patch[key] = change;
  }
  for (const key of Object.keys(isRecord(last) ? last : {})) {
    if (!(key in wanted) && key in found) patch[key] = null;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** Whether `found` says all that `wanted` says: the API fills in defaults, inside lists too. */
function sameJson(wanted: unknown, found: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(found) &&
      found.length === wanted.length &&
      wanted.every((entry, index) => sameJson(entry, found[index]))
    );
  }
  if (isRecord(wanted))
    return isRecord(found) && Object.entries(wanted).every(([key, value]) => sameJson(value, found[key]));
  return wanted === found;
}

function readApplied(file: string): ReadonlyMap<string, AnyObject> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    // The first `up`.
    return new Map();
  }
  return new Map(parseApplied(text).map((object) => [idOf(object), object]));
}

/** The file is only ever written by {@link applyManifests}. */
function parseApplied(text: string): readonly AnyObject[] {
  return JSON.parse(text) as readonly AnyObject[];
}

function rankOf({ kind }: AnyObject): number {
  const place = firstKinds.indexOf(kind);
  return place < 0 ? firstKinds.length : place;
}

function idOf(object: AnyObject): string {
  const group = object.apiVersion.includes("/") ? object.apiVersion.split("/")[0] : "";
  return `${group}/${object.kind} ${keyOf(refOf(object))}`;
}

function refOf({ metadata }: AnyObject): { readonly name: string; readonly namespace?: string } {
  return metadata.namespace === undefined
    ? { name: metadata.name }
    : { name: metadata.name, namespace: metadata.namespace };
}
