import {
  at,
  type Breach,
  breach,
  containersOf,
  isOurs,
  type Json,
  list,
  nameOf,
  namespaceOf,
  ofKind,
  type Practice,
  podField,
  podOf,
  record,
  same,
  serversOf,
  workloadsOf,
} from "./manifests.js";

/** Who asks the Kubernetes API, and so has a token for it. */
const apiClients = ["weft/control-plane", "weft/prometheus", "shop/database-setup"];
/** Whom a token for anything but the API is for, and where a process finds it. */
const meshAudience = "weft";
const meshTokenFolder = "/var/run/secrets/weft";

/** A rule about each Pod's spec. */
function pods(
  name: string,
  check: (workload: Json, pod: Json, objects: readonly Json[]) => readonly Breach[],
): Practice {
  return {
    name,
    check: (objects) => workloadsOf(objects).flatMap((workload) => check(workload, podOf(workload), objects)),
  };
}

/** A rule about one field of each container. */
function containers(
  name: string,
  field: string,
  isRight: (value: unknown, container: Json) => boolean,
  message: string,
): Practice {
  return pods(name, (workload) =>
    containersOf(workload).flatMap((one) =>
      breach(
        workload,
        `${one.field}.${field}`,
        message,
        !isRight(at(one.container, ...field.split(".")), one.container),
      ),
    ),
  );
}

const seconds = (text: unknown): number => Number(/^(\d+)s$/.exec(String(text))?.[1]);
const settingsOf = (workload: Json, objects: readonly Json[]): Json =>
  record(
    at(
      ofKind(objects, "ConfigMap").find((one) => nameOf(one) === "weft" && namespaceOf(one) === namespaceOf(workload)),
      "data",
    ),
  );

/** What each Pod and each container must say. */
export const podPractices: readonly Practice[] = [
  pods("Pods run as somebody who is not root, by number", (workload, pod) => [
    ...breach(
      workload,
      `${podField}.securityContext.runAsNonRoot`,
      "must be true",
      at(pod, "securityContext", "runAsNonRoot") !== true,
    ),
    ...breach(
      workload,
      `${podField}.securityContext.runAsUser`,
      "must be a number above 0",
      !(Number(at(pod, "securityContext", "runAsUser")) > 0),
    ),
  ]),
  pods("Pods have the runtime's seccomp profile", (workload, pod) =>
    breach(
      workload,
      `${podField}.securityContext.seccompProfile`,
      "must be RuntimeDefault",
      at(pod, "securityContext", "seccompProfile", "type") !== "RuntimeDefault",
    ),
  ),
  containers(
    "containers gain no rights",
    "securityContext.allowPrivilegeEscalation",
    (value) => value === false,
    "must be false",
  ),
  containers(
    "containers drop every capability",
    "securityContext.capabilities",
    (value) => same(value, { drop: ["ALL"] }),
    "must drop ALL and add none",
  ),
  containers(
    "containers write to volumes alone",
    "securityContext.readOnlyRootFilesystem",
    (value) => value === true,
    "must be true",
  ),
  pods("Pods have nothing of the host", (workload, pod) => [
    ...["hostNetwork", "hostPID", "hostIPC"].flatMap((field) =>
      breach(workload, `${podField}.${field}`, "must not be", pod[field] !== undefined),
    ),
    ...list(pod["volumes"]).flatMap((volume) =>
      breach(
        workload,
        `${podField}.volumes[${at(volume, "name")}].hostPath`,
        "must not be",
        at(volume, "hostPath") !== undefined,
      ),
    ),
    ...containersOf(workload).flatMap(({ field, container }) =>
      list(container["ports"]).flatMap((port) =>
        breach(
          workload,
          `${field}.ports[${at(port, "name")}].hostPort`,
          "must not be",
          at(port, "hostPort") !== undefined,
        ),
      ),
    ),
  ]),
  pods("each workload has a service account of its own", (workload, pod, objects) => [
    ...breach(
      workload,
      `${podField}.serviceAccountName`,
      `must be ${nameOf(workload)}`,
      pod["serviceAccountName"] !== nameOf(workload),
    ),
    ...breach(
      workload,
      `${podField}.serviceAccountName`,
      "names no ServiceAccount of this namespace",
      !ofKind(objects, "ServiceAccount").some(
        (one) => nameOf(one) === pod["serviceAccountName"] && namespaceOf(one) === namespaceOf(workload),
      ),
    ),
  ]),
  {
    name: "no token is mounted unasked",
    check: (objects) => [
      ...workloadsOf(objects).flatMap((workload) =>
        breach(
          workload,
          `${podField}.automountServiceAccountToken`,
          "must be false",
          podOf(workload)["automountServiceAccountToken"] !== false,
        ),
      ),
      ...ofKind(objects, "ServiceAccount").flatMap((account) =>
        breach(
          account,
          "automountServiceAccountToken",
          "must be false",
          account["automountServiceAccountToken"] !== false,
        ),
      ),
    ],
  },
  pods("a token is for the mesh, but for those who ask the Kubernetes API", (workload, pod) =>
    list(pod["volumes"]).flatMap((volume) =>
      list(at(volume, "projected", "sources")).flatMap((source) => {
        const token = at(source, "serviceAccountToken");
        const allowed =
          token === undefined ||
          at(token, "audience") === meshAudience ||
          apiClients.includes(`${namespaceOf(workload)}/${nameOf(workload)}`);
        return breach(
          workload,
          `${podField}.volumes[${at(volume, "name")}].projected.sources.serviceAccountToken.audience`,
          `must be ${meshAudience}`,
          !allowed,
        );
      }),
    ),
  ),
  {
    name: "a process of the mesh has its short-lived token, to read alone",
    check: (objects) =>
      serversOf(objects)
        .filter(isOurs)
        .flatMap((workload) => {
          const wanted = { audience: meshAudience, expirationSeconds: 3600, path: "token" };
          const volume = list(podOf(workload)["volumes"]).find((one) =>
            same(at(one, "projected", "sources"), [{ serviceAccountToken: wanted }]),
          );
          return [
            ...breach(
              workload,
              `${podField}.volumes`,
              `must have a projected token of audience ${meshAudience} for an hour`,
              volume === undefined,
            ),
            ...containersOf(workload).flatMap(({ field, container }) => {
              const mount = { name: at(volume, "name"), mountPath: meshTokenFolder, readOnly: true };
              return breach(
                workload,
                `${field}.volumeMounts`,
                `must have that token at ${meshTokenFolder}, readOnly`,
                !list(container["volumeMounts"]).some((one) => same(one, mount)),
              );
            }),
          ];
        }),
  },
  ...(["requests", "limits"] as const).flatMap((kind) =>
    (["cpu", "memory"] as const).map((what) =>
      containers(
        `containers say their ${kind} of ${what}`,
        `resources.${kind}.${what}`,
        (value) => typeof value === "string" && value !== "",
        "must be said",
      ),
    ),
  ),
  containers(
    "images have a version",
    "image",
    (value) => /:[^:/@]+(@sha256:[0-9a-f]{64})?$/.test(String(value)) && !/:latest(@|$)/.test(String(value)),
    "must have a tag that is not latest",
  ),
  {
    name: "servers are probed when they start, for readiness and for life; ours on the admin port",
    check: (objects) =>
      serversOf(objects).flatMap((workload) =>
        containersOf(workload).flatMap(({ field, container }) =>
          ["startupProbe", "readinessProbe", "livenessProbe"].flatMap((probe) => {
            const path = probe === "readinessProbe" ? "/readyz" : "/livez";
            const isRight = isOurs(workload)
              ? same(at(container, probe, "httpGet"), { path, port: "admin" })
              : container[probe] !== undefined;
            return breach(
              workload,
              `${field}.${probe}`,
              isOurs(workload) ? `must ask ${path} of the port admin` : "must be there",
              !isRight,
            );
          }),
        ),
      ),
  },
  pods("Pods have time to drain", (workload, pod, objects) => {
    const settings = settingsOf(workload, objects);
    const drain = seconds(settings["WEFT_DRAIN_DELAY"]) + seconds(settings["WEFT_DRAIN_TIMEOUT"]);
    const grace = Number(pod["terminationGracePeriodSeconds"]);
    const enough = isOurs(workload) && workload["kind"] !== "Job" ? grace > drain : grace > 0;
    return breach(
      workload,
      `${podField}.terminationGracePeriodSeconds`,
      `must be longer than the drain (${drain} s)`,
      !enough,
    );
  }),
  pods("what the mesh knows is kept in memory over a restart", (workload, pod, objects) => {
    if (!isOurs(workload) || workload["kind"] === "Job") return [];
    const directory = settingsOf(workload, objects)["WEFT_SNAPSHOT_DIR"];
    const mount = containersOf(workload)
      .flatMap(({ container }) => list(container["volumeMounts"]))
      .find((one) => at(one, "mountPath") === directory);
    const volume = list(pod["volumes"]).find((one) => at(one, "name") === at(mount, "name"));
    return breach(
      workload,
      `${podField}.volumes`,
      `must have an emptyDir of medium Memory at ${directory}`,
      mount === undefined || at(volume, "emptyDir", "medium") !== "Memory",
    );
  }),
];
