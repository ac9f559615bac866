import {
  anyObject,
  anything,
  bool,
  conditionsSchema,
  dnsLabel,
  int,
  intOrString,
  labelSelectorSchema,
  list,
  listBy,
  mapOf,
  metadataSchema,
  obj,
  oneOf,
  port,
  quantity,
  type Schema,
  str,
  strMap,
  time,
} from "./schema.js";

/** core/v1 Pod: every field of upstream by name; those that a process on one machine can't have an opinion on are not judged. */

const fieldRef = obj(
  { apiVersion: str({ default: "v1" }), "fieldPath!": str() },
  { "x-kubernetes-map-type": "atomic" },
);
const resourceFieldRef = obj(
  { containerName: str(), "resource!": str(), divisor: quantity() },
  { "x-kubernetes-map-type": "atomic" },
);
const keyRef = obj(
  { name: str({ default: "" }), "key!": str(), optional: bool() },
  { "x-kubernetes-map-type": "atomic" },
);
const named = obj({ name: str({ default: "" }), optional: bool() });

const envVar = obj({
  "name!": str({ minLength: 1 }),
  value: str(),
  valueFrom: obj({
    fieldRef,
    resourceFieldRef,
    configMapKeyRef: keyRef,
    secretKeyRef: keyRef,
    fileKeyRef: anyObject(),
  }),
});

const scheme = oneOf("HTTP", "HTTPS");
const httpGet = obj({
  path: str(),
  "port!": intOrString(),
  host: str(),
  scheme: { ...scheme, default: "HTTP" },
  httpHeaders: list(obj({ "name!": str(), "value!": str() })),
});
const exec = obj({ command: list(str()) });
const tcpSocket = obj({ "port!": intOrString(), host: str() });

const probe = obj({
  httpGet,
  tcpSocket,
  grpc: obj({ "port!": port(), service: str({ default: "" }) }),
  exec,
  initialDelaySeconds: int({ minimum: 0 }),
  periodSeconds: int({ minimum: 0, default: 10 }),
  timeoutSeconds: int({ minimum: 0, default: 1 }),
  successThreshold: int({ minimum: 0, default: 1 }),
  failureThreshold: int({ minimum: 0, default: 3 }),
  terminationGracePeriodSeconds: int({ format: "int64", minimum: 1 }),
});

const handler = obj({ httpGet, tcpSocket, exec, sleep: obj({ "seconds!": int({ format: "int64", minimum: 0 }) }) });

const resources = obj({
  requests: mapOf(quantity()),
  limits: mapOf(quantity()),
  claims: listBy(["name"], obj({ "name!": str(), request: str() })),
});

const containerPort = obj({
  name: str({ maxLength: 15, pattern: dnsLabel }),
  "containerPort!": port(),
  hostPort: int({ minimum: 0, maximum: 65_535 }),
  hostIP: str(),
  protocol: { ...oneOf("TCP", "UDP", "SCTP"), default: "TCP" },
});

const container = obj({
  "name!": str({ maxLength: 63, pattern: dnsLabel }),
  image: str(),
  imagePullPolicy: oneOf("Always", "IfNotPresent", "Never"),
  command: list(str()),
  args: list(str()),
  workingDir: str(),
  env: listBy(["name"], envVar),
  envFrom: list(obj({ prefix: str(), configMapRef: named, secretRef: named })),
  ports: listBy(["containerPort", "protocol"], containerPort),
  volumeMounts: listBy(
    ["mountPath"],
    obj({
      "name!": str(),
      "mountPath!": str({ minLength: 1 }),
      subPath: str(),
      subPathExpr: str(),
      readOnly: bool(),
      recursiveReadOnly: str(),
      mountPropagation: str(),
    }),
  ),
  volumeDevices: listBy(["devicePath"], obj({ "devicePath!": str(), "name!": str() })),
  resources: { ...resources, default: {} },
  resizePolicy: list(anyObject()),
  livenessProbe: probe,
  readinessProbe: probe,
  startupProbe: probe,
  lifecycle: obj({ postStart: handler, preStop: handler, stopSignal: str() }),
  restartPolicy: str(),
  restartPolicyRules: list(anyObject()),
  securityContext: anyObject(),
  stdin: bool(),
  stdinOnce: bool(),
  tty: bool(),
  terminationMessagePath: str({ default: "/dev/termination-log" }),
  terminationMessagePolicy: { ...oneOf("File", "FallbackToLogsOnError"), default: "File" },
});

const items = list(obj({ "key!": str(), "path!": str(), mode: int() }));
const downwardItems = list(obj({ "path!": str(), fieldRef, resourceFieldRef, mode: int() }));
const fileMode = (value: number): Schema => int({ minimum: 0, maximum: 511, default: value });

const volume = obj({
  "name!": str({ maxLength: 63, pattern: dnsLabel }),
  emptyDir: obj({ medium: str(), sizeLimit: quantity() }),
  configMap: obj({ name: str({ default: "" }), items, optional: bool(), defaultMode: fileMode(0o644) }),
  secret: obj({ secretName: str(), items, optional: bool(), defaultMode: fileMode(0o644) }),
  downwardAPI: obj({ items: downwardItems, defaultMode: fileMode(0o644) }),
  projected: obj({
    defaultMode: fileMode(0o644),
    sources: list(
      obj({
        serviceAccountToken: obj({
          audience: str(),
          expirationSeconds: int({ format: "int64", minimum: 600, default: 3600 }),
          "path!": str(),
        }),
        configMap: obj({ name: str({ default: "" }), items, optional: bool() }),
        secret: obj({ name: str({ default: "" }), items, optional: bool() }),
        downwardAPI: obj({ items: downwardItems }),
        clusterTrustBundle: anyObject(),
        podCertificate: anyObject(),
      }),
    ),
  }),
  persistentVolumeClaim: obj({ "claimName!": str(), readOnly: bool() }),
  hostPath: obj({ "path!": str(), type: str() }),
  ...Object.fromEntries(
    ["csi", "ephemeral", "nfs", "iscsi", "image", "fc", "cephfs", "rbd", "glusterfs", "azureDisk", "azureFile"].map(
      (name) => [name, anyObject()],
    ),
  ),
});

export const podSpecSchema = obj({
  "containers!": listBy(["name"], container),
  initContainers: listBy(["name"], container),
  ephemeralContainers: listBy(["name"], anyObject()),
  volumes: listBy(["name"], volume),
  restartPolicy: { ...oneOf("Always", "OnFailure", "Never"), default: "Always" },
  terminationGracePeriodSeconds: int({ format: "int64", minimum: 0, default: 30 }),
  activeDeadlineSeconds: int({ format: "int64", minimum: 1 }),
  serviceAccountName: str(),
  serviceAccount: str(),
  automountServiceAccountToken: bool(),
  nodeName: str(),
  nodeSelector: { ...strMap(), "x-kubernetes-map-type": "atomic" },
  hostname: str(),
  hostnameOverride: str(),
  subdomain: str(),
  setHostnameAsFQDN: bool(),
  dnsPolicy: { ...oneOf("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"), default: "ClusterFirst" },
  dnsConfig: anyObject(),
  hostAliases: listBy(["ip"], obj({ "ip!": str(), hostnames: list(str()) })),
  hostNetwork: bool(),
  hostPID: bool(),
  hostIPC: bool(),
  hostUsers: bool(),
  shareProcessNamespace: bool(),
  schedulerName: str({ default: "default-scheduler" }),
  schedulingGates: listBy(["name"], obj({ "name!": str() })),
  schedulingGroup: anyObject(),
  workloadRef: anyObject(),
  priorityClassName: str(),
  priority: int(),
  preemptionPolicy: str(),
  runtimeClassName: str(),
  overhead: mapOf(quantity()),
  enableServiceLinks: bool({ default: true }),
  securityContext: { ...anyObject(), default: {} },
  imagePullSecrets: listBy(["name"], obj({ "name!": str() })),
  affinity: anyObject(),
  tolerations: list(anyObject()),
  topologySpreadConstraints: listBy(
    ["topologyKey", "whenUnsatisfiable"],
    obj({
      "maxSkew!": int({ minimum: 1 }),
      "topologyKey!": str(),
      "whenUnsatisfiable!": oneOf("DoNotSchedule", "ScheduleAnyway"),
      labelSelector: labelSelectorSchema,
      matchLabelKeys: list(str()),
      minDomains: int(),
      nodeAffinityPolicy: str(),
      nodeTaintsPolicy: str(),
    }),
  ),
  readinessGates: list(obj({ "conditionType!": str() })),
  resourceClaims: listBy(["name"], anyObject()),
  resources: anyObject(),
  os: obj({ "name!": str() }),
});

/** A Pod as a controller stamps it out. */
export const podTemplateSchema = obj({ metadata: metadataSchema, spec: podSpecSchema });

const containerStatuses = list(
  obj({
    "name!": str(),
    "image!": str(),
    "imageID!": str(),
    containerID: str(),
    "ready!": bool(),
    started: bool(),
    "restartCount!": int(),
    state: anyObject(),
    lastState: { ...anyObject(), default: {} },
    resources: anyObject(),
    allocatedResources: anyObject(),
    allocatedResourcesStatus: anything(),
    volumeMounts: list(anyObject()),
    user: anyObject(),
    stopSignal: str(),
  }),
);
const ips = listBy(["ip"], obj({ "ip!": str() }));

export const podStatusSchema = obj({
  phase: oneOf("Pending", "Running", "Succeeded", "Failed", "Unknown"),
  conditions: conditionsSchema,
  message: str(),
  reason: str(),
  hostIP: str(),
  hostIPs: list(obj({ "ip!": str() })),
  podIP: str(),
  podIPs: ips,
  startTime: time(),
  containerStatuses,
  initContainerStatuses: containerStatuses,
  ephemeralContainerStatuses: list(anyObject()),
  nominatedNodeName: str(),
  qosClass: str(),
  resize: str(),
  observedGeneration: int({ format: "int64" }),
  resourceClaimStatuses: list(anyObject()),
});
