import type { Pod } from "@weft/kube";

/** How far from 1 a ratio may be before anything is done. */
export interface Tolerance {
  readonly up: number;
  readonly down: number;
}

export const defaultTolerance: Tolerance = { up: 0.1, down: 0.1 };

/** What a metric of type Pods asks for. */
export type Proposal =
  | { readonly t: "replicas"; readonly replicas: number; readonly averageMilli: number }
  | { readonly t: "unknown"; readonly why: string };

/**
 * How many replicas a metric asks for, by what each Pod says of itself (Kubernetes' algorithm, "Horizontal Pod Autoscaling: algorithm details"):
 *
 *   ceil(ready Pods × average / target), and nothing within the tolerance.
 *
 * Pods that end or have failed do not count. A Pod that is pending counts as idle when the others ask for more; one that has no value as
 * idle when they ask for more, as just busy enough when they ask for less. What changes its direction by that is left as it is.
 */
export function proposePods(options: {
  readonly current: number;
  readonly targetMilli: number;
  readonly tolerance: Tolerance;
  /** The Pods that the target's selector finds. */
  readonly pods: readonly Pod[];
  /** Thousandths, by the name of the Pod. */
  readonly values: ReadonlyMap<string, number>;
}): Proposal {
  const { current, targetMilli, tolerance, pods, values } = options;
  if (pods.length === 0) return { t: "unknown", why: "no pods returned by selector while calculating replica count" };
  const counted = pods.filter(
    ({ metadata, status }) => metadata.deletionTimestamp === undefined && status?.phase !== "Failed",
  );
  const pending = counted.filter(({ status }) => status?.phase === "Pending").length;
  const running = counted.filter(({ status }) => status?.phase !== "Pending");
  const known = running.flatMap(({ metadata }) => values.get(metadata.name) ?? []);
  const missing = running.length - known.length;
  if (known.length === 0)
    return { t: "unknown", why: "did not receive metrics for targeted pods (pods might be unready)" };
  const sum = known.reduce((total, value) => total + value, 0);
  const averageMilli = Math.floor(sum / known.length);
  const ratio = averageMilli / targetMilli;
  const done = (replicas: number): Proposal => ({ t: "replicas", replicas, averageMilli });

  const idle = pending > 0 && ratio > 1;
  if (!idle && missing === 0) return done(within(ratio, tolerance) ? current : Math.ceil(ratio * known.length));
  const filled = sum + (ratio < 1 ? missing * targetMilli : 0);
  const count = known.length + missing + (idle ? pending : 0);
  const filledRatio = Math.floor(filled / count) / targetMilli;
  if (within(filledRatio, tolerance) || (ratio < 1 && filledRatio > 1) || (ratio > 1 && filledRatio < 1))
    return done(current);
  const replicas = Math.ceil(filledRatio * count);
  const turned = (filledRatio < 1 && replicas > current) || (filledRatio > 1 && replicas < current);
  return done(turned ? current : replicas);
}

function within(ratio: number, { up, down }: Tolerance): boolean {
  return ratio >= 1 - down && ratio <= 1 + up;
}
