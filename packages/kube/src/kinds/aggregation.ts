import { defineKind } from "../object.js";
import { flag, list, number, object, optional, text } from "../shape.js";
import { condition } from "./core.js";

/** Hands a version of an API group to a Service that answers it. `caBundle` is base64 of PEM. */
export const apiService = defineKind(
  { group: "apiregistration.k8s.io", version: "v1", kind: "APIService", plural: "apiservices", namespaced: false },
  object({
    spec: object({
      group: optional(text),
      version: optional(text),
      service: optional(object({ namespace: optional(text), name: optional(text), port: optional(number) })),
      caBundle: optional(text),
      insecureSkipTLSVerify: optional(flag),
      groupPriorityMinimum: number,
      versionPriority: number,
    }),
    status: optional(object({ conditions: optional(list(condition)) })),
  }),
);
