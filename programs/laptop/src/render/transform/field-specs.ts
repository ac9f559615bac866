/** Where a transformer writes: a path of fields, `x[]` for each item of a list; missing maps are made only if `create`. */
export interface FieldSpec {
  readonly group?: string;
  readonly kind?: string;
  readonly path: string;
  readonly create: boolean;
}

const workloads = ["ReplicationController", "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job"] as const;

function each(kinds: readonly string[], path: string, create = true): FieldSpec[] {
  return kinds.map((kind) => ({ kind, path, create }));
}

const metadataLabels: readonly FieldSpec[] = [{ path: "metadata/labels", create: true }];

const templateLabels: readonly FieldSpec[] = [
  ...each(workloads, "spec/template/metadata/labels"),
  ...each(["StatefulSet"], "spec/volumeClaimTemplates[]/metadata/labels"),
  ...each(["CronJob"], "spec/jobTemplate/metadata/labels"),
  ...each(["CronJob"], "spec/jobTemplate/spec/template/metadata/labels"),
];

const affinities = ["podAffinity", "podAntiAffinity"].flatMap((affinity) => [
  `spec/template/spec/affinity/${affinity}/preferredDuringSchedulingIgnoredDuringExecution[]/podAffinityTerm/labelSelector/matchLabels`,
  `spec/template/spec/affinity/${affinity}/requiredDuringSchedulingIgnoredDuringExecution[]/labelSelector/matchLabels`,
]);

const selectors: readonly FieldSpec[] = [
  ...each(["Service", "ReplicationController"], "spec/selector").map((spec) => ({ ...spec, group: "" })),
  ...each(["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"], "spec/selector/matchLabels"),
  ...each(["Job", "PodDisruptionBudget"], "spec/selector/matchLabels", false),
  ...each(["CronJob"], "spec/jobTemplate/spec/selector/matchLabels", false),
  ...affinities.flatMap((path) => each(["Deployment", "StatefulSet"], path, false)),
  ...each(
    ["Deployment", "StatefulSet"],
    "spec/template/spec/topologySpreadConstraints[]/labelSelector/matchLabels",
    false,
  ),
  ...each(["NetworkPolicy"], "spec/podSelector/matchLabels", false),
  ...each(["NetworkPolicy"], "spec/ingress[]/from[]/podSelector/matchLabels", false),
  ...each(["NetworkPolicy"], "spec/egress[]/to[]/podSelector/matchLabels", false),
];

/** Where `labels` goes, by what it includes. */
export const labelSpecs = {
  metadata: metadataLabels,
  templates: [...metadataLabels, ...templateLabels],
  selectors: [...metadataLabels, ...templateLabels, ...selectors],
} as const;

/** Where `commonAnnotations` goes. */
export const annotationSpecs: readonly FieldSpec[] = [
  { path: "metadata/annotations", create: true },
  ...each(workloads, "spec/template/metadata/annotations"),
  ...each(["CronJob"], "spec/jobTemplate/metadata/annotations"),
  ...each(["CronJob"], "spec/jobTemplate/spec/template/metadata/annotations"),
];
