import { defineKind } from "../object.js";
import { flag, type Infer, intOrText, list, map, number, object, optional, text, words } from "../shape.js";
import { labelSelector } from "./core.js";

const endpoint = object({
  addresses: list(text),
  conditions: optional(object({ ready: optional(flag), serving: optional(flag), terminating: optional(flag) })),
  hostname: optional(text),
  nodeName: optional(text),
  zone: optional(text),
  deprecatedTopology: optional(map(text)),
  targetRef: optional(
    object({
      kind: optional(text),
      namespace: optional(text),
      name: optional(text),
      uid: optional(text),
      apiVersion: optional(text),
    }),
  ),
  hints: optional(object({ forZones: optional(list(object({ name: text }))) })),
});

const endpointPort = object({
  name: optional(text),
  port: optional(number),
  protocol: optional(text),
  appProtocol: optional(text),
});

/** The Service that a slice belongs to is in its label `kubernetes.io/service-name`. */
export const endpointSlice = defineKind(
  { group: "discovery.k8s.io", version: "v1", kind: "EndpointSlice", plural: "endpointslices", namespaced: true },
  object({
    addressType: words("IPv4", "IPv6", "FQDN"),
    // The server may send null for either list: a Service that selects no Pod.
    endpoints: optional(list(endpoint)),
    ports: optional(list(endpointPort)),
  }),
);

const peer = object({
  podSelector: optional(labelSelector),
  namespaceSelector: optional(labelSelector),
  ipBlock: optional(object({ cidr: text, except: optional(list(text)) })),
});
const policyPort = object({ protocol: optional(text), port: optional(intOrText), endPort: optional(number) });

export const networkPolicy = defineKind(
  { group: "networking.k8s.io", version: "v1", kind: "NetworkPolicy", plural: "networkpolicies", namespaced: true },
  object({
    spec: optional(
      object({
        podSelector: optional(labelSelector),
        policyTypes: optional(list(text)),
        ingress: optional(list(object({ from: optional(list(peer)), ports: optional(list(policyPort)) }))),
        egress: optional(list(object({ to: optional(list(peer)), ports: optional(list(policyPort)) }))),
      }),
    ),
  }),
);

export type Endpoint = Infer<typeof endpoint>;
export type EndpointPort = Infer<typeof endpointPort>;
