/** How fast one direction may go. */
export interface ScalingRules {
  readonly stabilizationWindowMs: number;
  readonly select: "Max" | "Min" | "Disabled";
  readonly policies: readonly ScalingPolicy[];
}

export interface ScalingPolicy {
  readonly type: "Pods" | "Percent";
  readonly value: number;
  readonly periodMs: number;
}

export interface Behavior {
  readonly up: ScalingRules;
  readonly down: ScalingRules;
}

const everyPercent: ScalingPolicy = { type: "Percent", value: 100, periodMs: 15_000 };

/** What holds for an autoscaler that says nothing: up at once, to twice as many or four more in 15 s; down after five minutes. */
export const defaultBehavior: Behavior = {
  up: {
    stabilizationWindowMs: 0,
    select: "Max",
    policies: [{ type: "Pods", value: 4, periodMs: 15_000 }, everyPercent],
  },
  down: { stabilizationWindowMs: 300_000, select: "Max", policies: [everyPercent] },
};

export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** What an autoscaler remembers between two looks. */
export interface ScalingHistory {
  /** What was asked for before stabilization. */
  readonly recommendations: readonly { readonly atMs: number; readonly replicas: number }[];
  /** What was done: replicas more, or fewer. */
  readonly changes: readonly { readonly atMs: number; readonly by: number }[];
}

export const emptyHistory: ScalingHistory = { recommendations: [], changes: [] };

/** Why the number is not the one that was asked for; reasons and words are Kubernetes' own. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
}

export interface Decision {
  readonly replicas: number;
  /** Set when recent recommendations held it back. */
  readonly stabilized: Verdict | undefined;
  /** Set when the bounds or the rate did. */
  readonly limited: Verdict | undefined;
  readonly history: ScalingHistory;
}

/**
 * From what the metrics ask for to what is done: the least of the recommendations in the window of scaling up, the greatest in that of
 * scaling down, then no faster than the policies allow and within the bounds.
 */
export function decide(options: {
  readonly current: number;
  readonly desired: number;
  readonly bounds: Bounds;
  readonly behavior: Behavior;
  readonly history: ScalingHistory;
  readonly nowMs: number;
}): Decision {
  const { current, desired, behavior, nowMs } = options;
  const { up, down } = behavior;
  const horizonMs = Math.max(up.stabilizationWindowMs, down.stabilizationWindowMs);
  const recent = options.history.recommendations.filter(({ atMs }) => atMs > nowMs - horizonMs);
  const inWindow = (windowMs: number): readonly number[] =>
    recent.filter(({ atMs }) => atMs > nowMs - windowMs).map(({ replicas }) => replicas);
  const least = Math.min(desired, ...inWindow(up.stabilizationWindowMs));
  const most = Math.max(desired, ...inWindow(down.stabilizationWindowMs));
  const stable = Math.min(Math.max(current, least), most);

  const longestMs = Math.max(0, ...[...up.policies, ...down.policies].map(({ periodMs }) => periodMs));
  const changes = options.history.changes.filter(({ atMs }) => atMs > nowMs - longestMs);
  const { replicas, limited } = limit({ ...options, desired: stable, changes });
  return {
    replicas,
    stabilized: stable === desired ? undefined : heldBack(stable >= current),
    limited,
    history: { recommendations: [...recent, { atMs: nowMs, replicas: desired }], changes },
  };
}

/** The history after a change was made. */
export function noteChange(history: ScalingHistory, by: number, nowMs: number): ScalingHistory {
  return by === 0 ? history : { ...history, changes: [...history.changes, { atMs: nowMs, by }] };
}

function heldBack(up: boolean): Verdict {
  return up
    ? {
        reason: "ScaleUpStabilized",
        message: "recent recommendations were lower than current one, applying the lowest recent recommendation",
      }
    : {
        reason: "ScaleDownStabilized",
        message: "recent recommendations were higher than current one, applying the highest recent recommendation",
      };
}

interface LimitOptions {
  readonly current: number;
  readonly desired: number;
  readonly bounds: Bounds;
  readonly behavior: Behavior;
  readonly changes: ScalingHistory["changes"];
  readonly nowMs: number;
}

function limit(options: LimitOptions): { readonly replicas: number; readonly limited: Verdict | undefined } {
  const { current, desired, bounds } = options;
  if (desired > current) {
    const rate = Math.max(current, rateLimit(options, "up"));
    const most = Math.min(bounds.max, rate);
    if (desired <= most) return { replicas: desired, limited: undefined };
    return {
      replicas: most,
      limited:
        bounds.max > rate
          ? {
              reason: "ScaleUpLimit",
              message: "the desired replica count is increasing faster than the maximum scale rate",
            }
          : { reason: "TooManyReplicas", message: "the desired replica count is more than the maximum replica count" },
    };
  }
  if (desired < current) {
    const rate = Math.min(current, rateLimit(options, "down"));
    const fewest = Math.max(bounds.min, rate);
    if (desired >= fewest) return { replicas: desired, limited: undefined };
    return {
      replicas: fewest,
      limited:
        bounds.min < rate
          ? {
              reason: "ScaleDownLimit",
              message: "the desired replica count is decreasing faster than the maximum scale rate",
            }
          : { reason: "TooFewReplicas", message: "the desired replica count is less than the minimum replica count" },
    };
  }
  return { replicas: desired, limited: undefined };
}

/** How far the policies of one direction let it go now: each counts from what there was at the beginning of its period. */
function rateLimit({ current, behavior, changes, nowMs }: LimitOptions, direction: "up" | "down"): number {
  const { select, policies } = behavior[direction];
  if (select === "Disabled") return current;
  const limits = policies.map(({ type, value, periodMs }) => {
    const since = changes.filter(({ atMs }) => atMs > nowMs - periodMs);
    const began = current - since.reduce((total, { by }) => total + by, 0);
    if (direction === "up") return type === "Pods" ? began + value : Math.ceil(began * (1 + value / 100));
    return type === "Pods" ? began - value : Math.trunc(began * (1 - value / 100));
  });
  // The policy that changes most is the furthest away from the current number.
  const furthest = (direction === "up") === (select === "Max");
  return furthest ? Math.max(...limits) : Math.min(...limits);
}
