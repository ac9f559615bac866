import { defineKind } from "../object.js";
import { flag, type Infer, json, list, object, optional, parseShape, text } from "../shape.js";

const rule = object({
  verbs: list(text),
  apiGroups: optional(list(text)),
  resources: optional(list(text)),
  resourceNames: optional(list(text)),
  nonResourceURLs: optional(list(text)),
});
const subject = object({ kind: text, name: text, namespace: optional(text), apiGroup: optional(text) });
const roleRef = object({ apiGroup: optional(text), kind: text, name: text });

const group = "rbac.authorization.k8s.io";
const version = "v1";

export const role = defineKind(
  { group, version, kind: "Role", plural: "roles", namespaced: true },
  object({ rules: optional(list(rule)) }),
);
export const clusterRole = defineKind(
  { group, version, kind: "ClusterRole", plural: "clusterroles", namespaced: false },
  object({ rules: optional(list(rule)), aggregationRule: optional(json) }),
);
export const roleBinding = defineKind(
  { group, version, kind: "RoleBinding", plural: "rolebindings", namespaced: true },
  object({ subjects: optional(list(subject)), roleRef }),
);
export const clusterRoleBinding = defineKind(
  { group, version, kind: "ClusterRoleBinding", plural: "clusterrolebindings", namespaced: false },
  object({ subjects: optional(list(subject)), roleRef }),
);

const tokenReview = object({
  status: object({
    authenticated: optional(flag),
    error: optional(text),
    audiences: optional(list(text)),
    user: optional(
      object({
        username: optional(text),
        uid: optional(text),
        groups: optional(list(text)),
        extra: optional(json),
      }),
    ),
  }),
});
const tokenRequest = object({ status: object({ token: text, expirationTimestamp: text }) });

export type PolicyRule = Infer<typeof rule>;
export type Subject = Infer<typeof subject>;

/** What the API server says of a token. A token that doesn't pass has `authenticated` unset or false. */
export type TokenReviewStatus = Infer<typeof tokenReview>["status"];

/** A token bound to a service account and its audiences, and when it ends (RFC 3339). */
export type IssuedToken = Infer<typeof tokenRequest>["status"];

export const parseTokenReview = (value: unknown) => parseShape(tokenReview, value);
export const parseTokenRequest = (value: unknown) => parseShape(tokenRequest, value);
