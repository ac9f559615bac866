import { isRecord } from "@weft/kube";
import { at, listAt, numberAt, recordAt, textAt } from "./path.js";
import type { Cause, Json } from "./resource-kind.js";
import { invalid, required } from "./rules.js";
import {
  conditionsSchema,
  int,
  labelSelectorSchema,
  list,
  obj,
  oneOf,
  quantity,
  type Schema,
  str,
  time,
} from "./schema.js";

/** autoscaling/v2 HorizontalPodAutoscaler: fields, defaults and rules. */

const objectRef = obj({ apiVersion: str(), "kind!": str(), "name!": str() });
const identifier = obj({ "name!": str(), selector: labelSelectorSchema });
const target = obj({
  "type!": oneOf("Utilization", "Value", "AverageValue"),
  value: quantity(),
  averageValue: quantity(),
  averageUtilization: int(),
});
const current = obj({ value: quantity(), averageValue: quantity(), averageUtilization: int() });

/** A metric of the spec has a `target`, one of the status a `current`. */
const metricOf = (value: Record<string, Schema>): Schema =>
  obj({
    "type!": oneOf("ContainerResource", "External", "Object", "Pods", "Resource"),
    pods: obj({ "metric!": identifier, ...value }),
    resource: obj({ "name!": str(), ...value }),
    containerResource: obj({ "name!": str(), "container!": str(), ...value }),
    object: obj({ "describedObject!": objectRef, "metric!": identifier, ...value }),
    external: obj({ "metric!": identifier, ...value }),
  });

const scalingRules = obj({
  stabilizationWindowSeconds: int({ minimum: 0, maximum: 3_600 }),
  selectPolicy: oneOf("Max", "Min", "Disabled"),
  policies: list(
    obj({
      "type!": oneOf("Pods", "Percent"),
      "value!": int({ minimum: 1 }),
      "periodSeconds!": int({ minimum: 1, maximum: 1_800 }),
    }),
  ),
  tolerance: quantity(),
});

export const autoscalerSpec = obj({
  "scaleTargetRef!": objectRef,
  minReplicas: int({ minimum: 1, default: 1 }),
  "maxReplicas!": int({ minimum: 1 }),
  metrics: list(metricOf({ "target!": target })),
  behavior: obj({ scaleUp: scalingRules, scaleDown: scalingRules }),
});

export const autoscalerStatus = obj({
  observedGeneration: int({ format: "int64" }),
  lastScaleTime: { ...time(), nullable: true },
  currentReplicas: int(),
  desiredReplicas: int(),
  currentMetrics: { ...list(metricOf({ current })), nullable: true },
  conditions: conditionsSchema,
});

const everyPercent = { type: "Percent", value: 100, periodSeconds: 15 };

/** What holds where the spec says nothing: CPU at 80 %, doubling (or four Pods) every 15 s, going down by all of it. */
export function completeAutoscaler(object: Json): Json {
  const spec = recordAt(object, "spec");
  const metrics = listAt(spec, "metrics");
  const cpu = { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } } };
  const behavior = at(spec, "behavior");
  return {
    ...object,
    spec: {
      ...spec,
      metrics: metrics.length === 0 ? [cpu] : metrics,
      ...(isRecord(behavior) ? { behavior: completeBehavior(behavior) } : {}),
    },
  };
}

function completeBehavior(behavior: Json): Json {
  const scaleUp = {
    stabilizationWindowSeconds: 0,
    selectPolicy: "Max",
    policies: [{ type: "Pods", value: 4, periodSeconds: 15 }, everyPercent],
  };
  const scaleDown = { selectPolicy: "Max", policies: [everyPercent] };
  return {
    scaleUp: { ...scaleUp, ...recordAt(behavior, "scaleUp") },
    scaleDown: { ...scaleDown, ...recordAt(behavior, "scaleDown") },
  };
}

/** Rules across fields. */
export function checkAutoscaler(object: Json): readonly Cause[] {
  const causes: Cause[] = [];
  const min = numberAt(object, "spec", "minReplicas") ?? 1;
  const max = numberAt(object, "spec", "maxReplicas") ?? 0;
  if (max < min) causes.push(invalid("spec.maxReplicas", max, "must be greater than or equal to `minReplicas`"));
  for (const field of ["kind", "name"])
    if (textAt(object, "spec", "scaleTargetRef", field) === "") causes.push(required(`spec.scaleTargetRef.${field}`));
  for (const [index, metric] of listAt(object, "spec", "metrics").entries()) {
    const path = `spec.metrics[${index}]`;
    const type = textAt(metric, "type");
    const source = type.charAt(0).toLowerCase() + type.slice(1);
    const found = at(metric, source);
    if (!isRecord(found)) {
      causes.push(required(`${path}.${source}`, "must populate information for the given metric source"));
      continue;
    }
    causes.push(...checkTarget(found, `${path}.${source}`, type));
  }
  return causes;
}

function checkTarget(source: Json, path: string, type: string): readonly Cause[] {
  const named = type === "Resource" || type === "ContainerResource" ? at(source, "name") : at(source, "metric", "name");
  const nameField = type === "Resource" || type === "ContainerResource" ? `${path}.name` : `${path}.metric.name`;
  if (named === undefined || named === "") return [required(nameField)];
  const value = recordAt(source, "target");
  if (type !== "Pods") return [];
  const average = value["averageValue"];
  if (average === undefined)
    return [required(`${path}.target.averageValue`, "must specify a positive target averageValue")];
  const positive = Number.parseFloat(String(average)) > 0;
  return positive ? [] : [invalid(`${path}.target.averageValue`, average, "must be positive")];
}
