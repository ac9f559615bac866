import { isRecord } from "@weft/kube";
import { at, listAt, numberAt, recordAt, textAt } from "../kinds/path.js";
import type { Json } from "../kinds/resource-kind.js";
import { invalid } from "../kinds/rules.js";
import { type Action, isAllowed } from "./access.js";
import type { KindRegistry } from "./kind-registry.js";
import { ApiError, badRequest, invalidObject, notFound } from "./status.js";
import type { ObjectStore } from "./store.js";
import { apiAudience, type BoundObjects, type Tokens, type User } from "./tokens.js";

/** Questions that are answered and not kept: whose token, who am I, may I. */
export interface ReviewContext {
  readonly tokens: Tokens;
  readonly store: ObjectStore;
  readonly kinds: KindRegistry;
  readonly bound: BoundObjects;
  readonly user: User;
}

/** Answers a review; `undefined` when there is no such question. */
export function answerReview(resource: string, body: unknown, context: ReviewContext): Json | undefined {
  switch (resource) {
    case "authentication.k8s.io/tokenreviews":
      return reviewToken(body, context.tokens);
    case "authentication.k8s.io/selfsubjectreviews":
      return {
        kind: "SelfSubjectReview",
        apiVersion: "authentication.k8s.io/v1",
        metadata: {},
        status: { userInfo: userInfo(context.user) },
      };
    case "authorization.k8s.io/selfsubjectaccessreviews":
      return reviewAccess("SelfSubjectAccessReview", body, context.user, context);
    case "authorization.k8s.io/subjectaccessreviews": {
      const user: User = {
        username: textAt(body, "spec", "user"),
        uid: textAt(body, "spec", "uid"),
        groups: [...listAt(body, "spec", "groups").map(String), "system:authenticated"],
        extra: {},
      };
      return reviewAccess("SubjectAccessReview", body, user, context);
    }
    default:
      return undefined;
  }
}

function userInfo(user: User): Json {
  return {
    username: user.username,
    ...(user.uid === "" ? {} : { uid: user.uid }),
    groups: user.groups,
    ...(Object.keys(user.extra).length === 0 ? {} : { extra: user.extra }),
  };
}

function reviewToken(body: unknown, tokens: Tokens): Json {
  if (!isRecord(body)) throw badRequest("the body of the request is not a JSON object");
  const asked = listAt(body, "spec", "audiences").map(String);
  const token = textAt(body, "spec", "token");
  if (token === "") {
    throw invalidObject({ group: "authentication.k8s.io", plural: "tokenreviews", kind: "TokenReview" }, "", [
      { field: "spec.token", reason: "FieldValueRequired", message: "Required value" },
    ]);
  }
  const found = tokens.authenticate(token, asked.length === 0 ? [apiAudience] : asked);
  const status =
    found === undefined
      ? { user: {}, error: "invalid bearer token" }
      : { authenticated: true, user: userInfo(found.user), audiences: found.audiences };
  return {
    kind: "TokenReview",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { creationTimestamp: null },
    spec: recordAt(body, "spec"),
    status,
  };
}

function reviewAccess(kind: string, body: unknown, user: User, context: ReviewContext): Json {
  const spec = recordAt(body, "spec");
  const resource = recordAt(spec, "resourceAttributes");
  const path = recordAt(spec, "nonResourceAttributes");
  const subresource = textAt(resource, "subresource");
  const action: Action =
    spec["nonResourceAttributes"] === undefined
      ? {
          t: "resource",
          verb: textAt(resource, "verb"),
          group: textAt(resource, "group"),
          resource: `${textAt(resource, "resource")}${subresource === "" ? "" : `/${subresource}`}`,
          namespace: textAt(resource, "namespace"),
          name: textAt(resource, "name"),
        }
      : { t: "path", verb: textAt(path, "verb"), path: textAt(path, "path") };
  const allowed = isAllowed(user, action, context.store, context.kinds);
  return {
    kind,
    apiVersion: "authorization.k8s.io/v1",
    metadata: { creationTimestamp: null },
    spec,
    status: { allowed },
  };
}

/** serviceaccounts/token: a token for an account, its audiences and, if asked, only as long as a Pod or Secret lives. */
export function issueToken(account: Json, body: unknown, context: ReviewContext): Json {
  const namespace = textAt(account, "metadata", "namespace");
  const spec = recordAt(body, "spec");
  const lifeSeconds = numberAt(spec, "expirationSeconds") ?? 3_600;
  const request = { group: "authentication.k8s.io", plural: "tokenrequests", kind: "TokenRequest" };
  if (lifeSeconds < 600) {
    throw invalidObject(request, "", [
      invalid("spec.expirationSeconds", lifeSeconds, "may not specify a duration less than 10 minutes"),
    ]);
  }
  if (lifeSeconds > 2 ** 32) {
    throw invalidObject(request, "", [
      invalid("spec.expirationSeconds", lifeSeconds, "may not specify a duration larger than 2^32 seconds"),
    ]);
  }
  const audiences = listAt(spec, "audiences").map(String);
  const given = audiences.length === 0 ? [apiAudience] : audiences;
  const { token, expiresMs } = context.tokens.issue({
    namespace,
    account,
    audiences: given,
    lifeSeconds,
    boundTo: boundObject(spec, namespace, context),
  });
  return {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { name: textAt(account, "metadata", "name"), namespace, creationTimestamp: null },
    spec: { audiences: given, expirationSeconds: lifeSeconds, boundObjectRef: spec["boundObjectRef"] ?? null },
    status: { token, expirationTimestamp: `${new Date(expiresMs).toISOString().slice(0, 19)}Z` },
  };
}

function boundObject(
  spec: Json,
  namespace: string,
  context: ReviewContext,
): { readonly kind: "pod" | "secret"; readonly name: string; readonly uid: string } | undefined {
  const reference = at(spec, "boundObjectRef");
  if (!isRecord(reference)) return undefined;
  const kind = reference["kind"] === "Pod" ? "pod" : reference["kind"] === "Secret" ? "secret" : undefined;
  const name = textAt(reference, "name");
  if (kind === undefined) throw badRequest(`cannot bind token for serviceaccount to a ${String(reference["kind"])}`);
  const object = context.bound[kind](namespace, name);
  if (object === undefined) throw notFound({ group: "", plural: `${kind}s`, kind }, name);
  const uid = textAt(object, "metadata", "uid");
  const wanted = textAt(reference, "uid");
  if (wanted !== "" && wanted !== uid) {
    throw new ApiError(
      409,
      "Conflict",
      `the UID in the bound object reference (${wanted}) does not match the UID in record (${uid})`,
    );
  }
  return { kind, name, uid };
}

/** autoscaling/v1 Scale of an object that has replicas. */
export function scaleOf(object: Json): Json {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = recordAt(object, "metadata");
  const selector = selectorText(recordAt(object, "spec", "selector"));
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    // Zero is left out, as upstream does.
    spec: numberAt(object, "spec", "replicas") === 0 ? {} : { replicas: numberAt(object, "spec", "replicas") ?? 1 },
    status: { replicas: numberAt(object, "status", "replicas") ?? 0, ...(selector === "" ? {} : { selector }) },
  };
}

/** A LabelSelector in its text form, keys in order. */
function selectorText(selector: Json): string {
  const labels = Object.entries(recordAt(selector, "matchLabels")).map(([key, value]) => [
    key,
    `${key}=${String(value)}`,
  ]);
  const expressions = listAt(selector, "matchExpressions").map((expression) => {
    const key = textAt(expression, "key");
    const values = listAt(expression, "values").map(String).sort().join(",");
    const texts: Readonly<Record<string, string>> = {
      In: `${key} in (${values})`,
      NotIn: `${key} notin (${values})`,
      Exists: key,
      DoesNotExist: `!${key}`,
    };
    return [key, texts[textAt(expression, "operator")] ?? key];
  });
  return [...labels, ...expressions]
    .sort(([a = ""], [b = ""]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, text]) => text)
    .join(",");
}
