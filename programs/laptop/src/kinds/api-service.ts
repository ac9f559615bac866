import { ageColumn, nameColumn } from "./columns.js";
import { at, listAt, numberAt, recordAt, textAt } from "./path.js";
import type { Cause, Column, Json } from "./resource-kind.js";
import { invalid, required } from "./rules.js";
import { bool, conditionsSchema, int, obj, port, str } from "./schema.js";

/** apiregistration.k8s.io/v1 APIService: an API group that another server answers. */

export const apiServiceSpec = obj({
  service: obj({ namespace: str(), name: str(), port: { ...port(), default: 443 } }),
  group: str(),
  version: str(),
  insecureSkipTLSVerify: bool(),
  caBundle: str({ format: "byte" }),
  "groupPriorityMinimum!": int(),
  "versionPriority!": int(),
});

export const apiServiceStatus = obj({ conditions: conditionsSchema });

export function checkApiService(object: Json): readonly Cause[] {
  const causes: Cause[] = [];
  const spec = recordAt(object, "spec");
  const name = textAt(object, "metadata", "name");
  const group = textAt(spec, "group");
  const version = textAt(spec, "version");
  const expected = `${version}.${group}`;
  if (name !== expected)
    causes.push(invalid("metadata.name", name, `must be \`spec.version+"."+spec.group\`: "${expected}"`));
  if (version === "") causes.push(required("spec.version"));
  for (const [field, most] of [
    ["groupPriorityMinimum", 20_000],
    ["versionPriority", 1_000],
  ] as const) {
    const priority = numberAt(spec, field) ?? 0;
    if (priority <= 0 || priority > most)
      causes.push(invalid(`spec.${field}`, priority, `must be positive and less than ${most}`));
  }
  if (spec["service"] === undefined) {
    for (const field of ["caBundle", "insecureSkipTLSVerify"])
      if (spec[field] !== undefined && spec[field] !== false && spec[field] !== "")
        causes.push(invalid(`spec.${field}`, spec[field], "local APIServices may not have it"));
    return causes;
  }
  for (const field of ["namespace", "name"])
    if (textAt(spec, "service", field) === "") causes.push(required(`spec.service.${field}`));
  if (spec["insecureSkipTLSVerify"] === true && textAt(spec, "caBundle") !== "")
    causes.push(invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present"));
  return causes;
}

export const apiServiceColumns: readonly Column[] = [
  nameColumn,
  {
    name: "Service",
    type: "string",
    value: (object) => {
      if (at(object, "spec", "service") === undefined) return "Local";
      return `${textAt(object, "spec", "service", "namespace")}/${textAt(object, "spec", "service", "name")}`;
    },
  },
  {
    name: "Available",
    type: "string",
    value: (object) => {
      const available = listAt(object, "status", "conditions").find((entry) => at(entry, "type") === "Available");
      const status = textAt(available, "status") || "Unknown";
      return status === "True" ? status : `${status} (${textAt(available, "reason")})`;
    },
  },
  ageColumn,
];
