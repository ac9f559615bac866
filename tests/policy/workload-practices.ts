import {
  at,
  breach,
  containersOf,
  type Json,
  list,
  nameOf,
  namespaceOf,
  ofKind,
  type Practice,
  podField,
  podLabelsOf,
  podOf,
  record,
  same,
  selects,
  serversOf,
  workloadsOf,
} from "./manifests.js";

const labelNames = ["name", "component", "part-of", "managed-by"].map((one) => `app.kubernetes.io/${one}`);
const metricNames = ["grpc_server_calls_per_second", "grpc_server_calls_in_flight"];

const autoscalersOf = (deployment: Json, objects: readonly Json[]): readonly Json[] =>
  ofKind(objects, "HorizontalPodAutoscaler").filter(
    (one) =>
      namespaceOf(one) === namespaceOf(deployment) &&
      at(one, "spec", "scaleTargetRef", "kind") === "Deployment" &&
      at(one, "spec", "scaleTargetRef", "name") === nameOf(deployment),
  );

/** Whether there may be more than one of its Pods. */
const isReplicated = (deployment: Json, objects: readonly Json[]): boolean =>
  autoscalersOf(deployment, objects).length > 0 || Number(at(deployment, "spec", "replicas") ?? 1) > 1;

/** How workloads are named, spread, scaled and reached, and what else an overlay holds. */
export const workloadPractices: readonly Practice[] = [
  {
    name: "objects and their Pods have the recommended labels",
    check: (objects) =>
      workloadsOf(objects).flatMap((workload) =>
        labelNames.flatMap((label) => [
          ...breach(
            workload,
            `metadata.labels[${label}]`,
            "must be there",
            typeof at(workload, "metadata", "labels", label) !== "string",
          ),
          ...breach(
            workload,
            `spec.template.metadata.labels[${label}]`,
            "must be that of the object",
            podLabelsOf(workload)[label] !== at(workload, "metadata", "labels", label),
          ),
        ]),
      ),
  },
  {
    name: "a workload's name is its label, and the label alone selects its Pods",
    check: (objects) =>
      serversOf(objects).flatMap((workload) =>
        breach(
          workload,
          "spec.selector.matchLabels",
          "must be app.kubernetes.io/name alone, with the object's name",
          !same(at(workload, "spec", "selector", "matchLabels"), { "app.kubernetes.io/name": nameOf(workload) }),
        ),
      ),
  },
  {
    name: "an eviction takes one Pod of a workload at a time",
    check: (objects) =>
      serversOf(objects).flatMap((workload) => {
        const budgets = ofKind(objects, "PodDisruptionBudget").filter(
          (one) =>
            namespaceOf(one) === namespaceOf(workload) &&
            same(at(one, "spec", "selector"), at(workload, "spec", "selector")),
        );
        const [budget] = budgets;
        if (budget === undefined || budgets.length > 1)
          return breach(workload, "spec.selector", `has ${budgets.length} PodDisruptionBudgets instead of one`);
        return breach(budget, "spec.maxUnavailable", "must be 1", at(budget, "spec", "maxUnavailable") !== 1);
      }),
  },
  {
    name: "the replicas of a Deployment are said once: by its autoscaler, or by itself",
    check: (objects) =>
      ofKind(objects, "Deployment").flatMap((deployment) => {
        const scaled = autoscalersOf(deployment, objects).length;
        const said = at(deployment, "spec", "replicas") === undefined ? 0 : 1;
        return breach(
          deployment,
          "spec.replicas",
          `is said ${scaled + said} times (${scaled} by autoscalers)`,
          scaled + said !== 1,
        );
      }),
  },
  {
    name: "an autoscaler follows the calls of its own Deployment, within bounds",
    check: (objects) =>
      ofKind(objects, "HorizontalPodAutoscaler").flatMap((one) => {
        const target = at(one, "spec", "scaleTargetRef", "name");
        const [min, max] = [Number(at(one, "spec", "minReplicas")), Number(at(one, "spec", "maxReplicas"))];
        const metrics = list(at(one, "spec", "metrics"));
        return [
          ...breach(
            one,
            "spec.scaleTargetRef.name",
            "names no Deployment of this namespace",
            !ofKind(objects, "Deployment").some(
              (deployment) => nameOf(deployment) === target && namespaceOf(deployment) === namespaceOf(one),
            ),
          ),
          ...breach(one, "spec.minReplicas", "must be from 1 to maxReplicas", !(min >= 1 && min <= max)),
          ...breach(
            one,
            "spec.metrics",
            `must be ${metricNames.join(" and ")} of its Pods, as averages`,
            !same(
              metrics.map((metric) => at(metric, "pods", "metric", "name")),
              metricNames,
            ) || metrics.some((metric) => at(metric, "pods", "target", "type") !== "AverageValue"),
          ),
        ];
      }),
  },
  {
    name: "replicas are spread over zones and nodes, and rather not on one",
    check: (objects) =>
      ofKind(objects, "Deployment")
        .filter((deployment) => isReplicated(deployment, objects))
        .flatMap((deployment) => {
          const pod = podOf(deployment);
          const labels = podLabelsOf(deployment);
          const spread = list(pod["topologySpreadConstraints"]).filter((one) =>
            selects(at(one, "labelSelector", "matchLabels"), labels),
          );
          const apart = list(
            at(pod, "affinity", "podAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution"),
          ).map((one) => record(at(one, "podAffinityTerm")));
          return [
            ...["topology.kubernetes.io/zone", "kubernetes.io/hostname"].flatMap((key) =>
              breach(
                deployment,
                `${podField}.topologySpreadConstraints`,
                `must spread its Pods over ${key}`,
                !spread.some((one) => at(one, "topologyKey") === key),
              ),
            ),
            ...breach(
              deployment,
              `${podField}.affinity.podAntiAffinity`,
              "must prefer nodes without one of its Pods",
              !apart.some(
                (term) =>
                  term["topologyKey"] === "kubernetes.io/hostname" &&
                  selects(at(term, "labelSelector", "matchLabels"), labels),
              ),
            ),
          ];
        }),
  },
  {
    name: "a rollout takes no ready Pod away before another is ready",
    check: (objects) =>
      ofKind(objects, "Deployment").flatMap((deployment) => {
        const strategy = at(deployment, "spec", "strategy");
        // One server that owns its data cannot stand beside another.
        if (at(strategy, "type") === "Recreate") return [];
        return breach(
          deployment,
          "spec.strategy.rollingUpdate.maxUnavailable",
          "must be 0",
          at(strategy, "rollingUpdate", "maxUnavailable") !== 0,
        );
      }),
  },
  {
    name: "a Service has named ports that lead to named ports of Pods that it selects",
    check: (objects) => [
      ...serversOf(objects).flatMap((workload) =>
        breach(
          workload,
          "metadata.name",
          "has no Service of its name that selects it",
          !ofKind(objects, "Service").some(
            (service) =>
              nameOf(service) === nameOf(workload) &&
              namespaceOf(service) === namespaceOf(workload) &&
              selects(at(service, "spec", "selector"), podLabelsOf(workload)),
          ),
        ),
      ),
      ...ofKind(objects, "Service").flatMap((service) => {
        const ports = serversOf(objects)
          .filter(
            (workload) =>
              namespaceOf(workload) === namespaceOf(service) &&
              selects(at(service, "spec", "selector"), podLabelsOf(workload)),
          )
          .flatMap((workload) => containersOf(workload).flatMap(({ container }) => list(container["ports"])));
        return list(at(service, "spec", "ports")).flatMap((port) => [
          ...breach(
            service,
            `spec.ports[${at(port, "port")}].name`,
            "must be there",
            typeof at(port, "name") !== "string",
          ),
          ...breach(
            service,
            `spec.ports[${at(port, "port")}].targetPort`,
            "must be the name of a port of its Pods",
            !ports.some((one) => at(one, "name") === at(port, "targetPort")),
          ),
          ...breach(
            service,
            `spec.ports[${at(port, "port")}].appProtocol`,
            "must be kubernetes.io/h2c where gRPC is spoken",
            /^grpc/.test(String(at(port, "name"))) && at(port, "appProtocol") !== "kubernetes.io/h2c",
          ),
        ]);
      }),
    ],
  },
  {
    name: "namespaces enforce what Pod Security calls restricted",
    check: (objects) =>
      ofKind(objects, "Namespace").flatMap((namespace) =>
        breach(
          namespace,
          "metadata.labels[pod-security.kubernetes.io/enforce]",
          "must be restricted",
          at(namespace, "metadata", "labels", "pod-security.kubernetes.io/enforce") !== "restricted",
        ),
      ),
  },
  {
    name: "roles name what they allow",
    check: (objects) =>
      ofKind(objects, "Role", "ClusterRole").flatMap((role) =>
        list(role["rules"]).flatMap((rule, index) =>
          ["apiGroups", "resources", "verbs"].flatMap((field) =>
            breach(
              role,
              `rules[${index}].${field}`,
              "must name what is meant",
              list(at(rule, field)).length === 0 || list(at(rule, field)).includes("*"),
            ),
          ),
        ),
      ),
  },
  {
    name: "the repository holds no Secret",
    check: (objects) =>
      ofKind(objects, "Secret").flatMap((secret) => breach(secret, "data", "must be made where it is used")),
  },
  {
    name: "the API server believes no metrics API that it cannot verify",
    check: (objects) =>
      ofKind(objects, "APIService").flatMap((service) =>
        breach(
          service,
          "spec.insecureSkipTLSVerify",
          "must not be",
          at(service, "spec", "insecureSkipTLSVerify") !== undefined,
        ),
      ),
  },
];
