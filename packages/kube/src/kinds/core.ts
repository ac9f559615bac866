import { defineKind, partialMeta } from "../object.js";
import { flag, type Infer, intOrText, json, list, map, number, object, optional, text, words } from "../shape.js";

/** A condition in a status, as most kinds have them. */
export const condition = object({
  type: text,
  status: words("True", "False", "Unknown"),
  observedGeneration: optional(number),
  lastTransitionTime: optional(text),
  lastUpdateTime: optional(text),
  lastProbeTime: optional(text),
  reason: optional(text),
  message: optional(text),
});

const selectorRequirement = object({
  key: text,
  operator: words("In", "NotIn", "Exists", "DoesNotExist"),
  values: optional(list(text)),
});

/** meta/v1 LabelSelector. */
export const labelSelector = object({
  matchLabels: optional(map(text)),
  matchExpressions: optional(list(selectorRequirement)),
});

const quantities = map(intOrText);

const keyRef = object({ name: optional(text), key: text, optional: optional(flag) });
const fieldRef = object({ apiVersion: optional(text), fieldPath: text });
const resourceFieldRef = object({ containerName: optional(text), resource: text, divisor: optional(intOrText) });

export const envVar = object({
  name: text,
  value: optional(text),
  valueFrom: optional(
    object({
      fieldRef: optional(fieldRef),
      resourceFieldRef: optional(resourceFieldRef),
      configMapKeyRef: optional(keyRef),
      secretKeyRef: optional(keyRef),
    }),
  ),
});

const nameRef = object({ name: optional(text), optional: optional(flag) });
const envFrom = object({ prefix: optional(text), configMapRef: optional(nameRef), secretRef: optional(nameRef) });

const httpGet = object({
  path: optional(text),
  port: intOrText,
  host: optional(text),
  scheme: optional(words("HTTP", "HTTPS")),
  httpHeaders: optional(list(object({ name: text, value: text }))),
});
const execAction = object({ command: optional(list(text)) });
const tcpSocket = object({ port: intOrText, host: optional(text) });

export const probe = object({
  httpGet: optional(httpGet),
  tcpSocket: optional(tcpSocket),
  grpc: optional(object({ port: number, service: optional(text) })),
  exec: optional(execAction),
  initialDelaySeconds: optional(number),
  periodSeconds: optional(number),
  timeoutSeconds: optional(number),
  successThreshold: optional(number),
  failureThreshold: optional(number),
  terminationGracePeriodSeconds: optional(number),
});

const lifecycleHandler = object({
  httpGet: optional(httpGet),
  tcpSocket: optional(tcpSocket),
  exec: optional(execAction),
  sleep: optional(object({ seconds: number })),
});

export const containerPort = object({
  name: optional(text),
  containerPort: number,
  hostPort: optional(number),
  protocol: optional(words("TCP", "UDP", "SCTP")),
});

export const container = object({
  name: text,
  image: optional(text),
  imagePullPolicy: optional(text),
  command: optional(list(text)),
  args: optional(list(text)),
  workingDir: optional(text),
  env: optional(list(envVar)),
  envFrom: optional(list(envFrom)),
  ports: optional(list(containerPort)),
  volumeMounts: optional(
    list(object({ name: text, mountPath: text, subPath: optional(text), readOnly: optional(flag) })),
  ),
  resources: optional(object({ requests: optional(quantities), limits: optional(quantities) })),
  livenessProbe: optional(probe),
  readinessProbe: optional(probe),
  startupProbe: optional(probe),
  lifecycle: optional(object({ postStart: optional(lifecycleHandler), preStop: optional(lifecycleHandler) })),
  restartPolicy: optional(text),
  securityContext: optional(json),
  terminationMessagePath: optional(text),
  terminationMessagePolicy: optional(text),
});

const keyToPath = object({ key: text, path: text, mode: optional(number) });
const downwardFile = object({
  path: text,
  fieldRef: optional(fieldRef),
  resourceFieldRef: optional(resourceFieldRef),
  mode: optional(number),
});

export const volume = object({
  name: text,
  emptyDir: optional(object({ medium: optional(text), sizeLimit: optional(intOrText) })),
  configMap: optional(
    object({
      name: optional(text),
      items: optional(list(keyToPath)),
      optional: optional(flag),
      defaultMode: optional(number),
    }),
  ),
  secret: optional(
    object({
      secretName: optional(text),
      items: optional(list(keyToPath)),
      optional: optional(flag),
      defaultMode: optional(number),
    }),
  ),
  downwardAPI: optional(object({ items: optional(list(downwardFile)), defaultMode: optional(number) })),
  projected: optional(
    object({
      defaultMode: optional(number),
      sources: optional(
        list(
          object({
            serviceAccountToken: optional(
              object({ path: text, audience: optional(text), expirationSeconds: optional(number) }),
            ),
            configMap: optional(
              object({ name: optional(text), items: optional(list(keyToPath)), optional: optional(flag) }),
            ),
            secret: optional(
              object({ name: optional(text), items: optional(list(keyToPath)), optional: optional(flag) }),
            ),
            downwardAPI: optional(object({ items: optional(list(downwardFile)) })),
          }),
        ),
      ),
    }),
  ),
  persistentVolumeClaim: optional(object({ claimName: text, readOnly: optional(flag) })),
  hostPath: optional(object({ path: text, type: optional(text) })),
});

export const podSpec = object({
  containers: list(container),
  initContainers: optional(list(container)),
  volumes: optional(list(volume)),
  restartPolicy: optional(words("Always", "OnFailure", "Never")),
  terminationGracePeriodSeconds: optional(number),
  activeDeadlineSeconds: optional(number),
  serviceAccountName: optional(text),
  serviceAccount: optional(text),
  automountServiceAccountToken: optional(flag),
  nodeName: optional(text),
  nodeSelector: optional(map(text)),
  hostname: optional(text),
  subdomain: optional(text),
  dnsPolicy: optional(text),
  schedulerName: optional(text),
  priorityClassName: optional(text),
  enableServiceLinks: optional(flag),
  securityContext: optional(json),
  affinity: optional(json),
  tolerations: optional(list(json)),
  topologySpreadConstraints: optional(list(json)),
  readinessGates: optional(list(object({ conditionType: text }))),
});

/** A Pod as a controller stamps it out. */
export const podTemplate = object({ metadata: optional(partialMeta), spec: optional(podSpec) });

const terminated = object({
  exitCode: number,
  signal: optional(number),
  reason: optional(text),
  message: optional(text),
  startedAt: optional(text),
  finishedAt: optional(text),
  containerID: optional(text),
});
const containerState = object({
  waiting: optional(object({ reason: optional(text), message: optional(text) })),
  running: optional(object({ startedAt: optional(text) })),
  terminated: optional(terminated),
});

export const containerStatus = object({
  name: text,
  image: text,
  imageID: text,
  containerID: optional(text),
  ready: flag,
  started: optional(flag),
  restartCount: number,
  state: optional(containerState),
  lastState: optional(containerState),
});

export const podStatus = object({
  phase: optional(words("Pending", "Running", "Succeeded", "Failed", "Unknown")),
  conditions: optional(list(condition)),
  message: optional(text),
  reason: optional(text),
  hostIP: optional(text),
  hostIPs: optional(list(object({ ip: text }))),
  podIP: optional(text),
  podIPs: optional(list(object({ ip: text }))),
  startTime: optional(text),
  containerStatuses: optional(list(containerStatus)),
  initContainerStatuses: optional(list(containerStatus)),
  qosClass: optional(text),
  observedGeneration: optional(number),
});

const servicePort = object({
  name: optional(text),
  protocol: optional(words("TCP", "UDP", "SCTP")),
  appProtocol: optional(text),
  port: number,
  targetPort: optional(intOrText),
  nodePort: optional(number),
});

export const pod = defineKind(
  { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true },
  object({ spec: podSpec, status: optional(podStatus) }),
);

export const service = defineKind(
  { group: "", version: "v1", kind: "Service", plural: "services", namespaced: true },
  object({
    spec: object({
      type: optional(words("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")),
      selector: optional(map(text)),
      ports: optional(list(servicePort)),
      clusterIP: optional(text),
      clusterIPs: optional(list(text)),
      externalName: optional(text),
      externalIPs: optional(list(text)),
      loadBalancerClass: optional(text),
      ipFamilies: optional(list(text)),
      ipFamilyPolicy: optional(text),
      sessionAffinity: optional(text),
      internalTrafficPolicy: optional(text),
      externalTrafficPolicy: optional(text),
      trafficDistribution: optional(text),
      publishNotReadyAddresses: optional(flag),
    }),
    status: optional(
      object({
        conditions: optional(list(condition)),
        loadBalancer: optional(
          object({
            ingress: optional(
              list(
                object({
                  ip: optional(text),
                  hostname: optional(text),
                  ipMode: optional(text),
                  ports: optional(list(object({ port: number, protocol: text, error: optional(text) }))),
                }),
              ),
            ),
          }),
        ),
      }),
    ),
  }),
);

export const namespace = defineKind(
  { group: "", version: "v1", kind: "Namespace", plural: "namespaces", namespaced: false },
  object({
    spec: optional(object({ finalizers: optional(list(text)) })),
    status: optional(object({ phase: optional(words("Active", "Terminating")) })),
  }),
);

export const node = defineKind(
  { group: "", version: "v1", kind: "Node", plural: "nodes", namespaced: false },
  object({
    spec: optional(object({ unschedulable: optional(flag), podCIDR: optional(text), providerID: optional(text) })),
    status: optional(
      object({
        conditions: optional(list(condition)),
        addresses: optional(list(object({ type: text, address: text }))),
        capacity: optional(quantities),
        allocatable: optional(quantities),
        nodeInfo: optional(json),
      }),
    ),
  }),
);

export const secret = defineKind(
  { group: "", version: "v1", kind: "Secret", plural: "secrets", namespaced: true },
  object({
    type: optional(text),
    data: optional(map(text)),
    stringData: optional(map(text)),
    immutable: optional(flag),
  }),
);

export const configMap = defineKind(
  { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true },
  object({ data: optional(map(text)), binaryData: optional(map(text)), immutable: optional(flag) }),
);

export const serviceAccount = defineKind(
  { group: "", version: "v1", kind: "ServiceAccount", plural: "serviceaccounts", namespaced: true },
  object({
    automountServiceAccountToken: optional(flag),
    secrets: optional(list(json)),
    imagePullSecrets: optional(list(json)),
  }),
);

const objectReference = object({
  apiVersion: optional(text),
  kind: optional(text),
  namespace: optional(text),
  name: optional(text),
  uid: optional(text),
  resourceVersion: optional(text),
  fieldPath: optional(text),
});

/** core/v1 Event, the one that `kubectl get events` and `describe` read. */
export const event = defineKind(
  { group: "", version: "v1", kind: "Event", plural: "events", namespaced: true },
  object({
    involvedObject: objectReference,
    type: optional(words("Normal", "Warning")),
    reason: optional(text),
    message: optional(text),
    source: optional(object({ component: optional(text), host: optional(text) })),
    count: optional(number),
    firstTimestamp: optional(text),
    lastTimestamp: optional(text),
    eventTime: optional(text),
    reportingComponent: optional(text),
    reportingInstance: optional(text),
    action: optional(text),
    related: optional(objectReference),
  }),
);

export type Condition = Infer<typeof condition>;
export type LabelSelector = Infer<typeof labelSelector>;
export type Container = Infer<typeof container>;
export type ContainerPort = Infer<typeof containerPort>;
export type ContainerStatus = Infer<typeof containerStatus>;
export type EnvVar = Infer<typeof envVar>;
export type Probe = Infer<typeof probe>;
export type Volume = Infer<typeof volume>;
export type PodSpec = Infer<typeof podSpec>;
export type PodStatus = Infer<typeof podStatus>;
export type PodTemplate = Infer<typeof podTemplate>;
export type ServicePort = Infer<typeof servicePort>;
