import type { RouteKey } from "./keys.js";
import type { RouteParent } from "./route.js";

/** Reasons of conditions. All but `RouteConflict` are Gateway API's. */
export type Reason =
  | "NoMatchingParent"
  | "UnsupportedValue"
  | "RouteConflict"
  | "BackendNotFound"
  | "InvalidKind"
  | "RefNotPermitted";

/** Whether something holds, and if not, why. */
export type Verdict = { readonly ok: true } | { readonly ok: false; readonly reason: Reason; readonly message: string };

export const holds: Verdict = { ok: true };

/** What became of one route at one parent. */
export interface ParentOutcome {
  readonly route: RouteKey;
  readonly parent: RouteParent;
  /** Whether the route is in force. */
  readonly accepted: Verdict;
  /** Whether everything that it names may be and can be reached. */
  readonly resolved: Verdict;
  /** Set when some but not all of its matches are out of force. */
  readonly partlyInvalid: Verdict;
}
