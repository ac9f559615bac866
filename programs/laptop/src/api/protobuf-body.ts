import { ApiError, badRequest } from "./status.js";

/**
 * kubectl's imperative commands (`create secret`, `create namespace`, `create token`, `auth can-i` …) send protobuf without asking whether the
 * server reads it. This reads the few kinds that they send; everything else asks for JSON. Numbers and names are those of upstream's
 * generated.proto files.
 */
type Field =
  | { readonly name: string; readonly t: "text" | "int" | "bool" | "bytes" | "time" }
  | { readonly name: string; readonly t: "message"; readonly fields: Fields }
  | { readonly name: string; readonly t: "texts" }
  | { readonly name: string; readonly t: "messages"; readonly fields: Fields }
  | { readonly name: string; readonly t: "map"; readonly values: "text" | "bytes" };
type Fields = Readonly<Record<number, Field>>;

const text = (name: string): Field => ({ name, t: "text" });
const int = (name: string): Field => ({ name, t: "int" });
const bool = (name: string): Field => ({ name, t: "bool" });
const message = (name: string, fields: Fields): Field => ({ name, t: "message", fields });
const textMap = (name: string): Field => ({ name, t: "map", values: "text" });
const byteMap = (name: string): Field => ({ name, t: "map", values: "bytes" });

const ownerReference: Fields = {
  1: text("kind"),
  3: text("name"),
  4: text("uid"),
  5: text("apiVersion"),
  6: bool("controller"),
  7: bool("blockOwnerDeletion"),
};
const metadata = message("metadata", {
  1: text("name"),
  2: text("generateName"),
  3: text("namespace"),
  5: text("uid"),
  6: text("resourceVersion"),
  7: int("generation"),
  8: { name: "creationTimestamp", t: "time" },
  11: textMap("labels"),
  12: textMap("annotations"),
  13: { name: "ownerReferences", t: "messages", fields: ownerReference },
  14: { name: "finalizers", t: "texts" },
});
const localReference: Fields = { 1: text("name") };

const kinds: Readonly<Record<string, Fields>> = {
  "v1 Namespace": {
    1: metadata,
    2: message("spec", { 1: { name: "finalizers", t: "texts" } }),
    3: message("status", { 1: text("phase") }),
  },
  "v1 Secret": { 1: metadata, 2: byteMap("data"), 3: text("type"), 4: textMap("stringData"), 5: bool("immutable") },
  "v1 ConfigMap": { 1: metadata, 2: textMap("data"), 3: byteMap("binaryData"), 4: bool("immutable") },
  "v1 ServiceAccount": {
    1: metadata,
    3: { name: "imagePullSecrets", t: "messages", fields: localReference },
    4: bool("automountServiceAccountToken"),
  },
  "v1 DeleteOptions": {
    1: int("gracePeriodSeconds"),
    2: message("preconditions", { 1: text("uid"), 2: text("resourceVersion") }),
    4: text("propagationPolicy"),
    5: { name: "dryRun", t: "texts" },
  },
  "authentication.k8s.io/v1 TokenRequest": {
    1: metadata,
    2: message("spec", {
      1: { name: "audiences", t: "texts" },
      3: message("boundObjectRef", { 1: text("kind"), 2: text("apiVersion"), 3: text("name"), 4: text("uid") }),
      4: int("expirationSeconds"),
    }),
    3: message("status", {}),
  },
  "authentication.k8s.io/v1 SelfSubjectReview": { 1: metadata, 2: message("status", {}) },
  "authorization.k8s.io/v1 SelfSubjectAccessReview": {
    1: metadata,
    2: message("spec", {
      1: message("resourceAttributes", {
        1: text("namespace"),
        2: text("verb"),
        3: text("group"),
        4: text("version"),
        5: text("resource"),
        6: text("subresource"),
        7: text("name"),
      }),
      2: message("nonResourceAttributes", { 1: text("path"), 2: text("verb") }),
    }),
    3: message("status", {}),
  },
};

const magic = Buffer.from("k8s\0", "latin1");
const envelope: Fields = {
  1: message("typeMeta", { 1: text("apiVersion"), 2: text("kind") }),
  2: { name: "raw", t: "bytes" },
};

/** Reads a body in `application/vnd.kubernetes.protobuf`. Throws 400 for what is none, 415 for kinds that must come as JSON. */
export function parseProtobufBody(body: Buffer): unknown {
  if (!body.subarray(0, 4).equals(magic)) throw badRequest("the body of the request is not Kubernetes protobuf");
  const outer = readMessage(body.subarray(4), envelope);
  const typeMeta = outer["typeMeta"];
  const raw = outer["raw"];
  if (typeof typeMeta !== "object" || typeMeta === null || !("kind" in typeMeta) || !("apiVersion" in typeMeta)) {
    throw badRequest("the body of the request does not say what it is");
  }
  const { apiVersion, kind } = typeMeta;
  // Options come in the version of the group that they are sent to.
  const fields = kinds[`${kind === "DeleteOptions" ? "v1" : String(apiVersion)} ${String(kind)}`];
  if (fields === undefined) {
    throw new ApiError(
      415,
      "UnsupportedMediaType",
      `${String(kind)} is read as JSON or YAML only; write it to a file (--dry-run=client -o yaml) and apply that`,
    );
  }
  return { apiVersion, kind, ...readMessage(Buffer.from(typeof raw === "string" ? raw : "", "base64"), fields) };
}

function readMessage(bytes: Buffer, fields: Fields): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count += 1) {
      const byte = bytes[at];
      if (byte === undefined) throw badRequest("the protobuf of the request ends early");
      at += 1;
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return value;
    }
    throw badRequest("the protobuf of the request holds a number that is too long");
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = fields[Math.floor(tag / 8)];
    const wire = tag % 8;
    if (wire === 0) {
      const value = varint();
      if (field?.t === "int") out[field.name] = value;
      if (field?.t === "bool") out[field.name] = value !== 0;
      continue;
    }
    if (wire !== 2) throw badRequest("the protobuf of the request holds a wire type that is not read");
    const length = varint();
    if (length > bytes.length - at) throw badRequest("the protobuf of the request ends early");
    const part = bytes.subarray(at, at + length);
    at += length;
    if (field !== undefined) put(out, field, part);
  }
  return out;
}

function put(out: Record<string, unknown>, field: Field, part: Buffer): void {
  const before = out[field.name];
  const list: readonly unknown[] = Array.isArray(before) ? before : [];
  switch (field.t) {
    case "text":
      // Upstream writes empty strings where there is nothing.
      if (part.length > 0) out[field.name] = part.toString("utf8");
      return;
    case "bytes":
      out[field.name] = part.toString("base64");
      return;
    case "message":
      out[field.name] = readMessage(part, field.fields);
      return;
    case "texts":
      out[field.name] = [...list, part.toString("utf8")];
      return;
    case "messages":
      out[field.name] = [...list, readMessage(part, field.fields)];
      return;
    case "map": {
      const entry = readMessage(part, { 1: text("key"), 2: { name: "value", t: field.values } });
      const map = typeof before === "object" && before !== null ? before : {};
      out[field.name] = { ...map, [String(entry["key"] ?? "")]: entry["value"] ?? "" };
      return;
    }
    case "time":
    case "int":
    case "bool":
      // A time that the server sets itself, or a packed list that no kind here has.
      return;
  }
}
