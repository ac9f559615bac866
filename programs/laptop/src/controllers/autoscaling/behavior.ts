import { isRecord } from "@weft/kube";
import { parseMilli } from "../../kinds/quantity.js";
import { defaultTolerance, type Tolerance } from "./pods-metric.js";
import { type Behavior, defaultBehavior, type ScalingPolicy, type ScalingRules } from "./scaling-rules.js";

/** `spec.behavior` of an autoscaler; what it leaves out is Kubernetes' default. */
export function parseBehavior(behavior: unknown): Behavior {
  const of = (direction: string): unknown => (isRecord(behavior) ? behavior[direction] : undefined);
  return {
    up: parseRules(of("scaleUp"), defaultBehavior.up),
    down: parseRules(of("scaleDown"), defaultBehavior.down),
  };
}

/** `tolerance` of both directions: a quantity such as `0.05`. */
export function parseTolerance(behavior: unknown): Tolerance {
  const of = (direction: string, usual: number): number => {
    const rules = isRecord(behavior) ? behavior[direction] : undefined;
    const milli = isRecord(rules) && rules["tolerance"] !== undefined ? parseMilli(rules["tolerance"]) : undefined;
    return milli === undefined ? usual : milli / 1_000;
  };
  return { up: of("scaleUp", defaultTolerance.up), down: of("scaleDown", defaultTolerance.down) };
}

function parseRules(rules: unknown, usual: ScalingRules): ScalingRules {
  if (!isRecord(rules)) return usual;
  const { stabilizationWindowSeconds: seconds, selectPolicy: select, policies } = rules;
  const parsed = Array.isArray(policies) ? policies.flatMap(parsePolicy) : [];
  return {
    stabilizationWindowMs: typeof seconds === "number" ? seconds * 1_000 : usual.stabilizationWindowMs,
    select: select === "Min" || select === "Disabled" || select === "Max" ? select : usual.select,
    policies: parsed.length === 0 ? usual.policies : parsed,
  };
}

function parsePolicy(policy: unknown): readonly ScalingPolicy[] {
  if (!isRecord(policy)) return [];
  const { type, value, periodSeconds } = policy;
  if ((type !== "Pods" && type !== "Percent") || typeof value !== "number" || typeof periodSeconds !== "number")
    return [];
  return [{ type, value, periodMs: periodSeconds * 1_000 }];
}
