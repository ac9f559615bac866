import {
  dnsLabel,
  dnsSubdomain,
  int,
  list,
  listBy,
  obj,
  oneOf,
  port,
  type Schema,
  setOf,
  str,
  time,
} from "./schema.js";

/** Gateway API's GRPCRoute and ReferenceGrant: the limits of its standard channel, version 1.6. */

const group = (limits: Partial<Schema> = {}): Schema =>
  str({ maxLength: 253, pattern: `^$|${dnsSubdomain}`, ...limits });
const kindName = (limits: Partial<Schema> = {}): Schema =>
  str({ minLength: 1, maxLength: 63, pattern: "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$", ...limits });
const objectName = (): Schema => str({ minLength: 1, maxLength: 253 });
const namespaceName = (): Schema => str({ minLength: 1, maxLength: 63, pattern: dnsLabel });
const sectionName = (): Schema => str({ minLength: 1, maxLength: 253, pattern: dnsSubdomain });

const parentRef = obj({
  group: group({ default: "gateway.networking.k8s.io" }),
  kind: kindName({ default: "Gateway" }),
  namespace: namespaceName(),
  "name!": objectName(),
  sectionName: sectionName(),
  port: port(),
});

const headerName = (): Schema => str({ minLength: 1, maxLength: 256, pattern: "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$" });
const header = obj({ "name!": headerName(), "value!": str({ minLength: 1, maxLength: 4096 }) });
const headerChange = obj({
  set: listBy(["name"], header, { maxItems: 16 }),
  add: listBy(["name"], header, { maxItems: 16 }),
  remove: setOf(str(), { maxItems: 16 }),
});

const backendFields = {
  group: group({ default: "" }),
  kind: kindName({ default: "Service" }),
  namespace: namespaceName(),
  "name!": objectName(),
  port: port(),
};

const filter = obj({
  "type!": oneOf("ResponseHeaderModifier", "RequestHeaderModifier", "RequestMirror", "ExtensionRef"),
  requestHeaderModifier: headerChange,
  responseHeaderModifier: headerChange,
  requestMirror: obj({
    "backendRef!": obj(backendFields),
    percent: int({ minimum: 0, maximum: 100 }),
    fraction: obj({ "numerator!": int({ minimum: 0 }), denominator: int({ minimum: 1, default: 100 }) }),
  }),
  extensionRef: obj({ "group!": group(), "kind!": kindName(), "name!": objectName() }),
});
const filters = list(filter, { maxItems: 16 });

const matchType = { ...oneOf("Exact", "RegularExpression"), default: "Exact" };

export const grpcRouteSpec = obj({
  hostnames: list(
    str({
      minLength: 1,
      maxLength: 253,
      pattern: "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    }),
    { maxItems: 16 },
  ),
  parentRefs: list(parentRef, { maxItems: 32 }),
  rules: list(
    obj({
      name: sectionName(),
      matches: list(
        obj({
          method: obj({ type: matchType, service: str({ maxLength: 1024 }), method: str({ maxLength: 1024 }) }),
          headers: listBy(
            ["name"],
            obj({ type: matchType, "name!": headerName(), "value!": str({ minLength: 1, maxLength: 4096 }) }),
            { maxItems: 16 },
          ),
        }),
        { maxItems: 64 },
      ),
      filters,
      backendRefs: list(
        obj({ ...backendFields, weight: int({ minimum: 0, maximum: 1_000_000, default: 1 }), filters }),
        { maxItems: 16 },
      ),
    }),
    { maxItems: 16 },
  ),
});

export const routeStatus = obj({
  "parents!": list(
    obj({
      "parentRef!": parentRef,
      "controllerName!": str({ minLength: 1, maxLength: 253 }),
      "conditions!": listBy(
        ["type"],
        obj({
          "type!": str({ maxLength: 316 }),
          "status!": oneOf("True", "False", "Unknown"),
          observedGeneration: int({ format: "int64", minimum: 0 }),
          "lastTransitionTime!": time(),
          "reason!": str({ minLength: 1, maxLength: 1024, pattern: "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$" }),
          "message!": str({ maxLength: 32_768 }),
        }),
        { minItems: 1, maxItems: 8 },
      ),
    }),
    { maxItems: 32 },
  ),
});

export const referenceGrantSpec = obj({
  "from!": list(obj({ "group!": group(), "kind!": kindName(), "namespace!": namespaceName() }), {
    minItems: 1,
    maxItems: 16,
  }),
  "to!": list(obj({ "group!": group(), "kind!": kindName(), name: objectName() }), { minItems: 1, maxItems: 16 }),
});
