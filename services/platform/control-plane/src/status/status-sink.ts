import type { RouteKey } from "../model/keys.js";
import type { ParentOutcome } from "../model/outcome.js";
import type { MeshRoute } from "../model/route.js";

/** Takes what became of routes. Must not throw or wait. */
export interface StatusSink {
  /** Told again whenever it may have changed. */
  report(route: RouteKey, outcomes: readonly ParentOutcome[], seen: MeshRoute): void;
  /** The route is gone. */
  forget(route: RouteKey): void;
}
