import {
  at,
  breach,
  isOurs,
  type Json,
  list,
  nameOf,
  namespaceOf,
  ofKind,
  type Practice,
  podLabelsOf,
  record,
  same,
  serversOf,
  workloadsOf,
} from "./manifests.js";

/** What anybody may reach, by policy and port: the public API, the trace pages, and what asks for a client certificate. */
const open = [
  "weft/gateway 8080",
  "weft/trace-store 16686",
  "weft/jaeger 16686",
  "weft/prometheus 9090",
  "weft/control-plane 6443",
];

/** Who asks the Kubernetes API, which no selector meets. They may reach every address, on these ports alone. */
const askingApi = ["weft/control-plane", "weft/prometheus", "shop/database-setup"];
const apiPorts = [443, 6443];

const policiesOf = (objects: readonly Json[]): readonly Json[] => ofKind(objects, "NetworkPolicy");
const policyOf = (workload: Json, objects: readonly Json[]): Json | undefined =>
  policiesOf(objects).find((one) => nameOf(one) === nameOf(workload) && namespaceOf(one) === namespaceOf(workload));
const portsOf = (rule: unknown): readonly unknown[] => list(at(rule, "ports")).map((port) => at(port, "port"));
const appsOf = (peer: unknown): readonly string[] => [
  ...[at(peer, "podSelector", "matchLabels", "app.kubernetes.io/name")].filter((name) => typeof name === "string"),
  ...list(at(peer, "podSelector", "matchExpressions"))
    .filter((one) => at(one, "key") === "app.kubernetes.io/name" && at(one, "operator") === "In")
    .flatMap((one) => list(at(one, "values")).map(String)),
];

/** The edges on the port of services that a policy names, as `shop/orders→shop/catalog`. */
function edgesOf(policy: Json, direction: "egress" | "ingress"): readonly string[] {
  const own = `${namespaceOf(policy)}/${nameOf(policy)}`;
  return list(at(policy, "spec", direction)).flatMap((rule) => {
    if (!portsOf(rule).includes(8080)) return [];
    return list(at(rule, direction === "egress" ? "to" : "from")).flatMap((peer) => {
      const namespace = at(peer, "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name");
      return appsOf(peer).map((app) =>
        direction === "egress" ? `${own}→${namespace}/${app}` : `${namespace}/${app}→${own}`,
      );
    });
  });
}

/** Whether a policy lets one through on this port, to or from an app. */
const allows = (policy: Json, direction: "egress" | "ingress", app: string, port: unknown): boolean =>
  list(at(policy, "spec", direction)).some(
    (rule) =>
      portsOf(rule).includes(port) &&
      list(at(rule, direction === "egress" ? "to" : "from")).some((peer) => appsOf(peer).includes(app)),
  );

/** Who may reach whom. */
export const networkPractices: readonly Practice[] = [
  {
    name: "each namespace refuses what no policy allows",
    check: (objects) =>
      ofKind(objects, "Namespace").flatMap((namespace) => {
        const denying = policiesOf(objects).some(
          (policy) =>
            namespaceOf(policy) === nameOf(namespace) &&
            same(policy["spec"], { podSelector: {}, policyTypes: ["Ingress", "Egress"] }),
        );
        return breach(namespace, "metadata.name", "has no NetworkPolicy that denies by default", !denying);
      }),
  },
  {
    name: "each workload has a policy of its own, in both directions",
    check: (objects) =>
      workloadsOf(objects).flatMap((workload) => {
        const policy = policyOf(workload, objects);
        if (policy === undefined) return breach(workload, "metadata.name", "has no NetworkPolicy of its name");
        const name = podLabelsOf(workload)["app.kubernetes.io/name"];
        return [
          ...breach(
            policy,
            "spec.podSelector",
            "must select the workload of its name",
            !same(at(policy, "spec", "podSelector"), { matchLabels: { "app.kubernetes.io/name": name } }),
          ),
          ...breach(
            policy,
            "spec.policyTypes",
            "must be Ingress and Egress",
            !same(at(policy, "spec", "policyTypes"), ["Ingress", "Egress"]),
          ),
        ];
      }),
  },
  {
    name: "an edge is declared by both of its ends",
    check: (objects) => {
      const out = policiesOf(objects).flatMap((policy) => edgesOf(policy, "egress"));
      const into = policiesOf(objects).flatMap((policy) => edgesOf(policy, "ingress"));
      return policiesOf(objects).flatMap((policy) => [
        ...edgesOf(policy, "egress").flatMap((edge) =>
          breach(policy, "spec.egress", `declares ${edge}, which its other end does not`, !into.includes(edge)),
        ),
        ...edgesOf(policy, "ingress").flatMap((edge) =>
          breach(policy, "spec.ingress", `declares ${edge}, which its other end does not`, !out.includes(edge)),
        ),
      ]);
    },
  },
  {
    name: "a policy names whom it lets in, but where everybody may",
    check: (objects) =>
      policiesOf(objects).flatMap((policy) =>
        list(at(policy, "spec", "ingress")).flatMap((rule) => {
          const where = `${namespaceOf(policy)}/${nameOf(policy)}`;
          const named =
            list(at(rule, "from")).length > 0 &&
            list(at(rule, "from")).every((peer) => Object.keys(record(peer)).length > 0);
          const unnamed = named ? [] : portsOf(rule).length === 0 ? ["any"] : portsOf(rule);
          return unnamed.flatMap((port) =>
            breach(policy, "spec.ingress", `lets anybody in on port ${port}`, !open.includes(`${where} ${port}`)),
          );
        }),
      ),
  },
  {
    name: "a policy names whom it calls and on which ports, but the Kubernetes API by its ports",
    check: (objects) =>
      policiesOf(objects).flatMap((policy) => {
        const asksApi = askingApi.includes(`${namespaceOf(policy)}/${nameOf(policy)}`);
        return list(at(policy, "spec", "egress")).flatMap((rule) => {
          const peers = list(at(rule, "to"));
          const named = peers.length > 0 && peers.every((peer) => Object.keys(record(peer)).length > 0);
          const byAddress = peers.some((peer) => at(peer, "ipBlock") !== undefined);
          return [
            ...breach(policy, "spec.egress", "lets it call anybody", !named),
            ...breach(policy, "spec.egress", "lets it call on any port", portsOf(rule).length === 0),
            ...breach(
              policy,
              "spec.egress",
              "lets it call addresses instead of Pods",
              byAddress && !(asksApi && same(portsOf(rule), apiPorts)),
            ),
          ];
        });
      }),
  },
  {
    name: "who calls names may ask for them",
    check: (objects) =>
      workloadsOf(objects)
        .filter(isOurs)
        .flatMap((workload) => {
          const policy = policyOf(workload, objects);
          if (policy === undefined) return [];
          const asks = list(at(policy, "spec", "egress")).some(
            (rule) =>
              same(portsOf(rule), ["dns", "dns-tcp"]) &&
              list(at(rule, "to")).some((peer) => at(peer, "podSelector", "matchLabels", "k8s-app") === "kube-dns"),
          );
          return breach(policy, "spec.egress", "must lead to the cluster's DNS, by the names of its ports", !asks);
        }),
  },
  {
    name: "the figures of our processes may be collected",
    check: (objects) => {
      const scraped = serversOf(objects).filter(isOurs);
      return scraped.flatMap((workload) => {
        const policy = policyOf(workload, objects);
        if (policy === undefined) return [];
        return ["control-plane", "prometheus"].flatMap((collector) =>
          breach(
            policy,
            "spec.ingress",
            `must let ${collector} in on the admin port`,
            !allows(policy, "ingress", collector, 9464),
          ),
        );
      });
    },
  },
  {
    name: "services of the mesh may ask for its config and send their traces",
    check: (objects) =>
      serversOf(objects)
        .filter((workload) => isOurs(workload) && !["control-plane", "trace-store"].includes(nameOf(workload)))
        .flatMap((workload) => {
          const policy = policyOf(workload, objects);
          if (policy === undefined) return [];
          const traces = list(at(policy, "spec", "egress")).some((rule) => portsOf(rule).includes(4318));
          return [
            ...breach(
              policy,
              "spec.egress",
              "must lead to the control plane",
              !allows(policy, "egress", "control-plane", 15010),
            ),
            ...breach(policy, "spec.egress", "must lead to the trace backend", !traces),
          ];
        }),
  },
];
