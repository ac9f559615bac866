import { isRecord } from "@weft/kube";
import { at, listAt, recordAt, sameJson, textAt } from "./path.js";
import type { Cause, Json } from "./resource-kind.js";
import { dnsLabel, dnsSubdomain } from "./schema.js";

/** Rules of upstream that no schema expresses: across fields, and against change. */

export const invalid = (field: string, value: unknown, why: string): Cause => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});
export const required = (field: string, why = ""): Cause => ({
  field,
  reason: "FieldValueRequired",
  message: why === "" ? "Required value" : `Required value: ${why}`,
});
const duplicate = (field: string, value: unknown): Cause => ({
  field,
  reason: "FieldValueDuplicate",
  message: `Duplicate value: ${JSON.stringify(value)}`,
});

/** Upstream's wording for a field that must stay as it is. */
export function immutable(field: string, old: unknown, now: unknown): readonly Cause[] {
  return sameJson(old, now) ? [] : [invalid(field, now, "field is immutable")];
}

const labelName = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)$/;
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const prefix = new RegExp(dnsSubdomain);

/** Keys of labels and annotations, values of labels. */
export function checkLabels(labels: unknown, field: string, checkValues = true): readonly Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(isRecord(labels) ? labels : {})) {
    const slash = key.indexOf("/");
    const head = slash < 0 ? undefined : key.slice(0, slash);
    if (!labelName.test(key.slice(slash + 1)) || (head !== undefined && (head.length > 253 || !prefix.test(head)))) {
      causes.push(invalid(field, key, "name part must consist of alphanumeric characters, '-', '_' or '.'"));
    }
    if (checkValues && typeof value === "string" && (value.length > 63 || !labelValue.test(value))) {
      causes.push(
        invalid(
          field,
          value,
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'",
        ),
      );
    }
  }
  return causes;
}

function selectsTemplate(object: Json): readonly Cause[] {
  const selector = recordAt(object, "spec", "selector", "matchLabels");
  const labels = recordAt(object, "spec", "template", "metadata", "labels");
  const expressions = listAt(object, "spec", "selector", "matchExpressions");
  if (Object.keys(selector).length === 0 && expressions.length === 0) {
    return [invalid("spec.selector", at(object, "spec", "selector"), "empty selector is invalid for deployment")];
  }
  if (Object.entries(selector).every(([key, value]) => labels[key] === value)) return [];
  return [invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")];
}

function checkPodSpec(spec: unknown, field: string): readonly Cause[] {
  const causes: Cause[] = [];
  const volumes = new Set<unknown>();
  for (const [index, volume] of listAt(spec, "volumes").entries()) {
    const name = at(volume, "name");
    if (volumes.has(name)) causes.push(duplicate(`${field}.volumes[${index}].name`, name));
    volumes.add(name);
  }
  if (isRecord(spec) && listAt(spec, "containers").length === 0) causes.push(required(`${field}.containers`));
  const names = new Set<unknown>();
  for (const list of ["initContainers", "containers"]) {
    for (const [index, container] of listAt(spec, list).entries()) {
      const path = `${field}.${list}[${index}]`;
      const name = at(container, "name");
      if (names.has(name)) causes.push(duplicate(`${path}.name`, name));
      names.add(name);
      if (textAt(container, "image") === "") causes.push(required(`${path}.image`));
      for (const [mountIndex, mount] of listAt(container, "volumeMounts").entries()) {
        if (volumes.has(at(mount, "name"))) continue;
        causes.push({
          field: `${path}.volumeMounts[${mountIndex}].name`,
          reason: "FieldValueInvalid",
          message: `Not found: ${JSON.stringify(at(mount, "name"))}`,
        });
      }
      for (const kind of ["livenessProbe", "readinessProbe", "startupProbe"]) {
        const probe = at(container, kind);
        if (!isRecord(probe)) continue;
        const handlers = ["httpGet", "tcpSocket", "grpc", "exec"].filter((handler) => probe[handler] !== undefined);
        if (handlers.length === 0) causes.push(required(`${path}.${kind}`, "must specify a handler type"));
        if (handlers.length > 1) {
          causes.push({
            field: `${path}.${kind}.${handlers[1] ?? ""}`,
            reason: "FieldValueForbidden",
            message: "Forbidden: may not specify more than 1 handler type",
          });
        }
      }
    }
  }
  return causes;
}

export function checkPod(pod: Json, old: Json | undefined): readonly Cause[] {
  const causes = [...checkPodSpec(pod["spec"], "spec")];
  if (old === undefined) return causes;
  // What may change in a running Pod: images, its deadline, tolerations, the gates; the node once, when it is bound.
  const frozen = (spec: unknown): unknown => ({
    ...recordAt({ spec }, "spec"),
    containers: listAt(spec, "containers").map((container) => ({ ...recordAt({ container }, "container"), image: "" })),
    initContainers: listAt(spec, "initContainers").map((container) => ({
      ...recordAt({ container }, "container"),
      image: "",
    })),
    activeDeadlineSeconds: 0,
    terminationGracePeriodSeconds: 0,
    tolerations: [],
    schedulingGates: [],
    nodeName: textAt(old, "spec", "nodeName") === "" ? "" : at(spec, "nodeName"),
  });
  if (!sameJson(frozen(old["spec"]), frozen(pod["spec"]))) {
    causes.push({
      field: "spec",
      reason: "FieldValueForbidden",
      message:
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    });
  }
  return causes;
}

export function checkWorkload(object: Json, old: Json | undefined): readonly Cause[] {
  const causes = [
    ...selectsTemplate(object),
    ...checkLabels(at(object, "spec", "template", "metadata", "labels"), "spec.template.metadata.labels"),
    ...checkPodSpec(at(object, "spec", "template", "spec"), "spec.template.spec"),
  ];
  const strategy = recordAt(object, "spec", "strategy");
  if (strategy["type"] === "Recreate" && strategy["rollingUpdate"] !== undefined) {
    causes.push({
      field: "spec.strategy.rollingUpdate",
      reason: "FieldValueForbidden",
      message: "Forbidden: may not be specified when strategy `type` is 'Recreate'",
    });
  }
  if (old !== undefined)
    causes.push(...immutable("spec.selector", at(old, "spec", "selector"), at(object, "spec", "selector")));
  return causes;
}

export function checkService(service: Json): readonly Cause[] {
  const causes: Cause[] = [];
  const spec = recordAt(service, "spec");
  const ports = listAt(spec, "ports");
  if (spec["type"] === "ExternalName") {
    if (textAt(spec, "externalName") === "") causes.push(required("spec.externalName"));
    return causes;
  }
  if (ports.length === 0 && spec["clusterIP"] !== "None") causes.push(required("spec.ports"));
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const name = textAt(port, "name");
    if (name === "" && ports.length > 1) causes.push(required(`spec.ports[${index}].name`));
    if (names.has(name)) causes.push(duplicate(`spec.ports[${index}].name`, name));
    names.add(name);
    const number = `${String(at(port, "port"))}/${textAt(port, "protocol")}`;
    if (numbers.has(number)) causes.push(duplicate(`spec.ports[${index}]`, port));
    numbers.add(number);
    const target = at(port, "targetPort");
    if (typeof target === "number" && (target < 1 || target > 65_535)) {
      causes.push(invalid(`spec.ports[${index}].targetPort`, target, "must be between 1 and 65535, inclusive"));
    }
    if (typeof target === "string" && !/^(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/.test(target)) {
      causes.push(
        invalid(`spec.ports[${index}].targetPort`, target, "must be a port name: at most 15 of a-z, 0-9 and '-'"),
      );
    }
  }
  return [...causes, ...checkLabels(spec["selector"], "spec.selector")];
}

export function checkData(object: Json, old: Json | undefined): readonly Cause[] {
  const causes: Cause[] = [];
  for (const field of ["data", "binaryData"]) {
    for (const [key, value] of Object.entries(recordAt(object, field))) {
      if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key)) {
        causes.push(
          invalid(
            `${field}[${key}]`,
            key,
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
          ),
        );
      }
      const encoded = field === "binaryData" || object["kind"] === "Secret";
      if (encoded && typeof value === "string" && !/^[A-Za-z0-9+/\r\n]*={0,2}$/.test(value)) {
        causes.push(invalid(`${field}[${key}]`, "<value>", "must be base64"));
      }
    }
  }
  if (old?.["immutable"] === true) {
    for (const field of ["data", "binaryData"]) {
      if (sameJson(old[field], object[field])) continue;
      causes.push({
        field,
        reason: "FieldValueForbidden",
        message: "Forbidden: field is immutable when `immutable` is set",
      });
    }
  }
  if (old !== undefined && object["kind"] === "Secret") causes.push(...immutable("type", old["type"], object["type"]));
  return causes;
}

export function checkEndpointSlice(slice: Json, old: Json | undefined): readonly Cause[] {
  const causes: Cause[] = [];
  if (slice["addressType"] === "IPv4") {
    for (const [index, endpoint] of listAt(slice, "endpoints").entries()) {
      for (const [place, address] of listAt(endpoint, "addresses").entries()) {
        if (typeof address === "string" && /^(\d{1,3}\.){3}\d{1,3}$/.test(address)) continue;
        causes.push(invalid(`endpoints[${index}].addresses[${place}]`, address, "must be a valid IPv4 address"));
      }
    }
  }
  if (old !== undefined) causes.push(...immutable("addressType", old["addressType"], slice["addressType"]));
  return causes;
}

/** PodDisruptionBudget: one of the two bounds, not both; what it selects stays. */
export function checkBudget(budget: Json): readonly Cause[] {
  const spec = recordAt(budget, "spec");
  const causes: Cause[] = [];
  if (spec["minAvailable"] !== undefined && spec["maxUnavailable"] !== undefined) {
    causes.push(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
  }
  for (const field of ["minAvailable", "maxUnavailable"]) {
    const value = spec[field];
    const bad = typeof value === "number" ? value < 0 : typeof value === "string" && !/^\d+%$/.test(value);
    if (bad) causes.push(invalid(`spec.${field}`, value, "must be a number from 0 up, or a percentage"));
  }
  return causes;
}

export function checkBinding(binding: Json, old: Json | undefined): readonly Cause[] {
  const causes: Cause[] = [];
  const kind = textAt(binding, "roleRef", "kind");
  if (kind !== "Role" && kind !== "ClusterRole") {
    causes.push({
      field: "roleRef.kind",
      reason: "FieldValueNotSupported",
      message: `Unsupported value: ${JSON.stringify(kind)}: supported values: "ClusterRole", "Role"`,
    });
  }
  if (old !== undefined && !sameJson(old["roleRef"], binding["roleRef"])) {
    causes.push(invalid("roleRef", binding["roleRef"], "cannot change roleRef"));
  }
  return causes;
}

const formats = { label: new RegExp(dnsLabel), subdomain: new RegExp(dnsSubdomain) } as const;

/** Whether a name can be an object's. */
export function checkName(name: string, format: "label" | "subdomain" | "path-segment"): readonly Cause[] {
  if (name === "") return [required("metadata.name", "name or generateName is required")];
  if (format === "path-segment") {
    const bad = name === "." || name === ".." || name.includes("/") || name.includes("%");
    return bad ? [invalid("metadata.name", name, "may not be '.', '..' or contain '/' or '%'")] : [];
  }
  const max = format === "label" ? 63 : 253;
  if (name.length <= max && formats[format].test(name)) return [];
  return [
    invalid(
      "metadata.name",
      name,
      format === "label"
        ? "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
        : "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ),
  ];
}
