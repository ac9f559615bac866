import { isRecord } from "@weft/kube";
import { at, listAt, numberAt, recordAt, textAt } from "./path.js";
import type { Cause, Json } from "./resource-kind.js";

/** A CEL rule of a custom kind that does not hold. */
const broken = (field: string, why: string): Cause => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${why}`,
});

/** The CEL rules of Gateway API's GRPCRoute, those that a route between Services can break. */
export function checkGrpcRoute(route: Json): readonly Cause[] {
  const causes: Cause[] = [];
  let matches = 0;
  for (const [ruleIndex, rule] of listAt(route, "spec", "rules").entries()) {
    const path = `spec.rules[${ruleIndex}]`;
    matches += listAt(rule, "matches").length;
    for (const [index, match] of listAt(rule, "matches").entries()) {
      const method = at(match, "method");
      if (isRecord(method)) causes.push(...checkMethod(method, `${path}.matches[${index}].method`));
    }
    causes.push(...checkFilters(listAt(rule, "filters"), `${path}.filters`));
    for (const [index, backend] of listAt(rule, "backendRefs").entries()) {
      causes.push(...checkBackend(backend, `${path}.backendRefs[${index}]`));
      causes.push(...checkFilters(listAt(backend, "filters"), `${path}.backendRefs[${index}].filters`));
    }
  }
  if (matches > 128) {
    causes.push(
      broken(
        "spec.rules",
        "While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must be less than 128",
      ),
    );
  }
  const parents = new Map<string, unknown[]>();
  for (const parent of listAt(route, "spec", "parentRefs")) {
    const key = JSON.stringify(["group", "kind", "namespace", "name"].map((field) => textAt(parent, field)));
    const sections = parents.get(key) ?? [];
    sections.push(textAt(parent, "sectionName"));
    parents.set(key, sections);
  }
  for (const sections of parents.values()) {
    if (sections.includes("") && sections.some((section) => section !== "")) {
      causes.push(
        broken(
          "spec.parentRefs",
          "sectionName must be specified when parentRefs includes 2 or more references to the same parent",
        ),
      );
    } else if (new Set(sections).size < sections.length) {
      causes.push(
        broken(
          "spec.parentRefs",
          "sectionName must be unique when parentRefs includes 2 or more references to the same parent",
        ),
      );
    }
  }
  return causes;
}

function checkMethod(method: Readonly<Record<string, unknown>>, path: string): readonly Cause[] {
  const { type, service, method: name } = method;
  const causes: Cause[] = [];
  if (type !== undefined && service === undefined && name === undefined) {
    causes.push(broken(path, "One or both of 'service' or 'method' must be specified"));
  }
  if (type !== undefined && type !== "Exact") return causes;
  if (typeof service === "string" && !/^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$/i.test(service)) {
    causes.push(
      broken(
        path,
        "service must only contain valid characters (matching ^(?i)\\.?[a-z_][a-z_0-9]*(\\.[a-z_][a-z_0-9]*)*$)",
      ),
    );
  }
  if (typeof name === "string" && !/^[A-Za-z_][A-Za-z_0-9]*$/.test(name)) {
    causes.push(broken(path, "method must only contain valid characters (matching ^[A-Za-z_][A-Za-z_0-9]*$)"));
  }
  return causes;
}

function checkBackend(backend: unknown, path: string): readonly Cause[] {
  if (
    textAt(backend, "group") !== "" ||
    textAt(backend, "kind") !== "Service" ||
    numberAt(backend, "port") !== undefined
  ) {
    return [];
  }
  return [broken(path, "Must have port for Service reference")];
}

function checkFilters(filters: readonly unknown[], path: string): readonly Cause[] {
  const causes: Cause[] = [];
  const fieldOf: Readonly<Record<string, string>> = {
    RequestHeaderModifier: "requestHeaderModifier",
    ResponseHeaderModifier: "responseHeaderModifier",
    RequestMirror: "requestMirror",
    ExtensionRef: "extensionRef",
  };
  for (const [index, filter] of filters.entries()) {
    const type = textAt(filter, "type");
    for (const [word, field] of Object.entries(fieldOf)) {
      const there = at(filter, field) !== undefined;
      if (there && type !== word) {
        causes.push(broken(`${path}[${index}]`, `filter.${field} must be nil if the filter.type is not ${word}`));
      }
      if (!there && type === word) {
        causes.push(broken(`${path}[${index}]`, `filter.${field} must be specified for ${word} filter.type`));
      }
    }
    const mirror = at(filter, "requestMirror");
    if (!isRecord(mirror)) continue;
    const where = `${path}[${index}].requestMirror`;
    causes.push(...checkBackend(mirror["backendRef"], `${where}.backendRef`));
    if (mirror["percent"] !== undefined && mirror["fraction"] !== undefined) {
      causes.push(broken(where, "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter"));
    }
    const { numerator, denominator } = recordAt(mirror, "fraction");
    if (typeof numerator === "number" && typeof denominator === "number" && numerator > denominator) {
      causes.push(broken(`${where}.fraction`, "numerator must be less than or equal to denominator"));
    }
  }
  for (const word of ["RequestHeaderModifier", "ResponseHeaderModifier"]) {
    if (filters.filter((filter) => textAt(filter, "type") === word).length > 1) {
      causes.push(broken(path, `${word} filter cannot be repeated`));
    }
  }
  return causes;
}
