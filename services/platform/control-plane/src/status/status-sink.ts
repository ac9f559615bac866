import type { RouteKey } from "../model/keys.js";
import type { ParentOutcome } from "../model/outcome.js";
import type { MeshRoute } from "../model/route.js";

/** Takes what became of a route. Told again whenever it may have changed; must not throw or wait. */
export interface StatusSink {
  report(route: RouteKey, outcomes: readonly ParentOutcome[], seen: MeshRoute): void;
}
