import type { ParentOutcome, Verdict } from "../model/outcome.js";
import type { ParentReference } from "../model/route.js";

/** Who we are in `status.parents[].controllerName`. */
export const controllerName = "weft.dev/control-plane";

/** meta/v1 Condition. */
export interface RouteCondition {
  readonly type: string;
  readonly status: "True" | "False";
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

export interface RouteParentEntry {
  readonly parentRef: ParentReference;
  readonly controllerName: string;
  readonly conditions: readonly RouteCondition[];
}

/** What is known of an entry that is already there. */
export interface KnownParentEntry {
  readonly parentRef: ParentReference;
  readonly controllerName: string;
  readonly conditions?: readonly KnownCondition[];
}

interface KnownCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime?: string;
}

/**
 * The `status.parents` of a route: entries of other controllers as they are, then ours for the parents that the route has now.
 * A condition that says what it said keeps its transition time. `undefined` when nothing would change.
 */
export function parentsWith(
  known: readonly KnownParentEntry[],
  outcomes: readonly ParentOutcome[],
  at: { readonly generation: number; readonly nowIso: string },
): readonly (KnownParentEntry | RouteParentEntry)[] | undefined {
  const foreign = known.filter((entry) => entry.controllerName !== controllerName);
  const own = known.filter((entry) => entry.controllerName === controllerName);
  const entries = outcomes.map((outcome): RouteParentEntry => {
    const { ref } = outcome.parent;
    const before = own.find((entry) => refIdentity(entry.parentRef) === refIdentity(ref))?.conditions ?? [];
    return { parentRef: ref, controllerName, conditions: conditionsOf(outcome, before, at) };
  });
  return sameEntries(own, entries) ? undefined : [...foreign, ...entries];
}

function conditionsOf(
  outcome: ParentOutcome,
  before: readonly KnownCondition[],
  at: { readonly generation: number; readonly nowIso: string },
): readonly RouteCondition[] {
  const make = (type: string, status: "True" | "False", reason: string, message: string): RouteCondition => {
    const old = before.find((condition) => condition.type === type);
    const since = old?.status === status ? old.lastTransitionTime : undefined;
    return {
      type,
      status,
      reason,
      message,
      observedGeneration: at.generation,
      lastTransitionTime: since ?? at.nowIso,
    };
  };
  const { accepted, resolved, partlyInvalid } = outcome;
  return [
    verdict(accepted, "Accepted", "the route is in force"),
    verdict(resolved, "ResolvedRefs", "every backend exists"),
    ...(partlyInvalid.ok ? [] : [make("PartiallyInvalid", "True", partlyInvalid.reason, clip(partlyInvalid.message))]),
  ];

  function verdict(value: Verdict, type: string, good: string): RouteCondition {
    return value.ok ? make(type, "True", type, good) : make(type, "False", value.reason, clip(value.message));
  }
}

/** The API takes no longer message. */
function clip(message: string): string {
  return message.length <= 32_768 ? message : message.slice(0, 32_768);
}

function sameEntries(own: readonly KnownParentEntry[], next: readonly RouteParentEntry[]): boolean {
  const text = (entries: readonly KnownParentEntry[]): string =>
    JSON.stringify(
      entries.map(({ parentRef, conditions = [] }) => [
        refIdentity(parentRef),
        conditions.map(({ type, status, reason, message, observedGeneration }) => [
          type,
          status,
          reason,
          message,
          observedGeneration,
        ]),
      ]),
    );
  return text(own) === text(next);
}

function refIdentity(ref: ParentReference): string {
  const { group, kind, namespace, name, sectionName, port } = ref;
  return JSON.stringify([group, kind, namespace, name, sectionName, port]);
}
