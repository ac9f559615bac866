import {
  all,
  each,
  type FieldClass,
  type FieldTable,
  fields,
  honoured,
  meaningless,
  only,
  refused,
} from "./field-class.js";

/** The fields of a Pod's spec, by what the laptop's kubelet does with them. */

const oneNode = meaningless("there is one node");
const aProcess = meaningless("a Pod is a process of yours");
const shared = meaningless("Pods share the machine");
const bundles = meaningless("images are the bundles of this checkout");
const filesOfTheirs = meaningless("files in volumes are for their Pod alone");

const fieldRef = fields({ apiVersion: honoured, fieldPath: honoured });
const resourceFieldRef = fields({
  containerName: honoured,
  resource: honoured,
  divisor: refused("it is always 1 here"),
});
const keyRef = fields({ name: honoured, key: honoured, optional: honoured });
const sourceRef = fields({ name: honoured, optional: honoured });

const action: FieldTable = {
  httpGet: fields({
    path: honoured,
    port: honoured,
    host: honoured,
    scheme: only(["HTTP"], "probes speak HTTP"),
    httpHeaders: each({ name: honoured, value: honoured }),
  }),
  tcpSocket: fields({ port: honoured, host: honoured }),
  exec: fields({ command: honoured }),
};

const probe = fields({
  ...action,
  grpc: refused("probe the admin port by httpGet"),
  ...all(["initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold"], honoured),
  terminationGracePeriodSeconds: refused("a probe has no grace of its own"),
});

const container = fields({
  ...all(["name", "image", "command", "args"], honoured),
  imagePullPolicy: bundles,
  workingDir: refused("a process starts in the checkout"),
  env: each({
    name: honoured,
    value: honoured,
    valueFrom: fields({
      fieldRef,
      resourceFieldRef,
      configMapKeyRef: keyRef,
      secretKeyRef: keyRef,
      fileKeyRef: refused("take it from a ConfigMap or a Secret"),
    }),
  }),
  envFrom: each({ prefix: honoured, configMapRef: sourceRef, secretRef: sourceRef }),
  ports: each({
    name: honoured,
    containerPort: honoured,
    protocol: only(["TCP"], "the mesh speaks TCP"),
    ...all(["hostPort", "hostIP"], refused("make a Service of type LoadBalancer")),
  }),
  livenessProbe: probe,
  readinessProbe: probe,
  startupProbe: probe,
  resources: fields({ requests: shared, limits: shared, claims: refused("there are no devices to claim") }),
  resizePolicy: shared,
  securityContext: aProcess,
  volumeMounts: each({
    name: honoured,
    mountPath: honoured,
    subPath: honoured,
    readOnly: filesOfTheirs,
    subPathExpr: refused("write the path out as subPath"),
    ...all(["recursiveReadOnly", "mountPropagation"], aProcess),
  }),
  volumeDevices: refused("there are no block devices"),
  lifecycle: refused("a process gets SIGTERM and nothing before it"),
  restartPolicy: refused("all containers follow the Pod's restartPolicy"),
  restartPolicyRules: refused("all containers follow the Pod's restartPolicy"),
  ...all(["stdin", "stdinOnce", "tty"], only([false], "a Pod has no terminal")),
  ...all(["terminationMessagePath", "terminationMessagePolicy"], meaningless("read the Pod's log")),
});

const items = each({ key: honoured, path: honoured, mode: filesOfTheirs });
const downwardItems = each({ path: honoured, fieldRef, resourceFieldRef, mode: filesOfTheirs });
const noSuchVolume = refused("a volume is an emptyDir, configMap, secret, downwardAPI or projected");

const volume = fields({
  name: honoured,
  emptyDir: fields({ medium: only(["", "Memory"], "the medium is Memory or none"), sizeLimit: shared }),
  configMap: fields({ name: honoured, items, optional: honoured, defaultMode: filesOfTheirs }),
  secret: fields({ secretName: honoured, items, optional: honoured, defaultMode: filesOfTheirs }),
  downwardAPI: fields({ items: downwardItems, defaultMode: filesOfTheirs }),
  projected: fields({
    defaultMode: filesOfTheirs,
    sources: each({
      serviceAccountToken: fields({ audience: honoured, expirationSeconds: honoured, path: honoured }),
      configMap: fields({ name: honoured, items, optional: honoured }),
      secret: fields({ name: honoured, items, optional: honoured }),
      downwardAPI: fields({ items: downwardItems }),
      ...all(["clusterTrustBundle", "podCertificate"], refused("take it from a ConfigMap or a Secret")),
    }),
  }),
  hostPath: refused("a Pod has no business with the machine's files"),
  persistentVolumeClaim: refused(
    "the overlay must replace what keeps data: the laptop's data is in its embedded Postgres",
  ),
  ...all(
    ["csi", "ephemeral", "nfs", "iscsi", "image", "fc", "cephfs", "rbd", "glusterfs", "azureDisk", "azureFile"],
    noSuchVolume,
  ),
});

/** A Pod's spec. */
export const podSpec: FieldClass = fields({
  containers: each(container),
  initContainers: each(container),
  ephemeralContainers: refused("they belong to kubectl debug"),
  volumes: each(volume),
  ...all(["restartPolicy", "terminationGracePeriodSeconds", "serviceAccountName", "serviceAccount"], honoured),
  automountServiceAccountToken: only([false], "ask for a token by a projected volume"),
  securityContext: aProcess,
  imagePullSecrets: bundles,
  enableServiceLinks: aProcess,
  ...all(
    [
      "nodeName",
      "nodeSelector",
      "affinity",
      "tolerations",
      "topologySpreadConstraints",
      "schedulerName",
      "priorityClassName",
      "priority",
      "preemptionPolicy",
      "runtimeClassName",
      "overhead",
      "os",
    ],
    oneNode,
  ),
  resources: shared,
  ...all(["hostUsers", "shareProcessNamespace", "hostPID", "hostIPC"], aProcess),
  hostNetwork: only([false], "each Pod has an address of its own"),
  dnsPolicy: only(["ClusterFirst"], "names of Services are answered in each process, all others by the machine"),
  ...all(
    ["dnsConfig", "hostAliases", "hostname", "hostnameOverride", "subdomain", "setHostnameAsFQDN"],
    refused("names of Services are answered in each process, all others by the machine"),
  ),
  activeDeadlineSeconds: refused("a Pod runs until it ends or is deleted"),
  ...all(["readinessGates", "schedulingGates"], refused("nobody would open the gate")),
  ...all(["resourceClaims", "schedulingGroup", "workloadRef"], refused("there are no devices to claim")),
});
