import { defineKind } from "../object.js";
import { flag, intOrText, json, list, number, object, optional, text, words } from "../shape.js";
import { condition, labelSelector, podTemplate } from "./core.js";

export const deployment = defineKind(
  { group: "apps", version: "v1", kind: "Deployment", plural: "deployments", namespaced: true },
  object({
    spec: object({
      replicas: optional(number),
      selector: labelSelector,
      template: podTemplate,
      strategy: optional(
        object({
          type: optional(words("RollingUpdate", "Recreate")),
          rollingUpdate: optional(object({ maxSurge: optional(intOrText), maxUnavailable: optional(intOrText) })),
        }),
      ),
      minReadySeconds: optional(number),
      revisionHistoryLimit: optional(number),
      progressDeadlineSeconds: optional(number),
      paused: optional(flag),
    }),
    status: optional(
      object({
        observedGeneration: optional(number),
        replicas: optional(number),
        updatedReplicas: optional(number),
        readyReplicas: optional(number),
        availableReplicas: optional(number),
        unavailableReplicas: optional(number),
        conditions: optional(list(condition)),
        collisionCount: optional(number),
      }),
    ),
  }),
);

export const replicaSet = defineKind(
  { group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets", namespaced: true },
  object({
    spec: object({
      replicas: optional(number),
      selector: labelSelector,
      template: optional(podTemplate),
      minReadySeconds: optional(number),
    }),
    status: optional(
      object({
        observedGeneration: optional(number),
        replicas: optional(number),
        fullyLabeledReplicas: optional(number),
        readyReplicas: optional(number),
        availableReplicas: optional(number),
        conditions: optional(list(condition)),
      }),
    ),
  }),
);

export const statefulSet = defineKind(
  { group: "apps", version: "v1", kind: "StatefulSet", plural: "statefulsets", namespaced: true },
  object({
    spec: object({
      replicas: optional(number),
      serviceName: optional(text),
      selector: labelSelector,
      template: podTemplate,
      volumeClaimTemplates: optional(list(json)),
    }),
    status: optional(
      object({
        observedGeneration: optional(number),
        replicas: optional(number),
        readyReplicas: optional(number),
        currentReplicas: optional(number),
        updatedReplicas: optional(number),
      }),
    ),
  }),
);

const crossVersionRef = object({ apiVersion: optional(text), kind: text, name: text });

export const horizontalPodAutoscaler = defineKind(
  {
    group: "autoscaling",
    version: "v2",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    namespaced: true,
  },
  object({
    spec: object({
      scaleTargetRef: crossVersionRef,
      minReplicas: optional(number),
      maxReplicas: number,
      metrics: optional(list(json)),
      behavior: optional(json),
    }),
    status: optional(
      object({
        currentReplicas: optional(number),
        desiredReplicas: optional(number),
        conditions: optional(list(condition)),
        currentMetrics: optional(list(json)),
        lastScaleTime: optional(text),
      }),
    ),
  }),
);

export const podDisruptionBudget = defineKind(
  { group: "policy", version: "v1", kind: "PodDisruptionBudget", plural: "poddisruptionbudgets", namespaced: true },
  object({
    spec: optional(
      object({
        minAvailable: optional(intOrText),
        maxUnavailable: optional(intOrText),
        selector: optional(labelSelector),
        unhealthyPodEvictionPolicy: optional(text),
      }),
    ),
    status: optional(json),
  }),
);

export const lease = defineKind(
  { group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases", namespaced: true },
  object({
    spec: optional(
      object({
        holderIdentity: optional(text),
        leaseDurationSeconds: optional(number),
        acquireTime: optional(text),
        renewTime: optional(text),
        leaseTransitions: optional(number),
      }),
    ),
  }),
);
