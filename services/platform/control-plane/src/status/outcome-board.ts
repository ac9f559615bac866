import type { RouteKey, ServiceKey } from "../model/keys.js";
import type { ParentOutcome } from "../model/outcome.js";
import type { MeshRoute } from "../model/route.js";

/** Collects what each Service says of its routes into what is said of each route, in the order of the route's parents. */
export class OutcomeBoard {
  readonly #byService = new Map<ServiceKey, readonly ParentOutcome[]>();
  readonly #told = new WeakMap<MeshRoute, string>();

  /** Takes the outcomes of one Service and names the routes that are concerned. */
  put(service: ServiceKey, outcomes: readonly ParentOutcome[]): ReadonlySet<RouteKey> {
    const before = this.#byService.get(service) ?? [];
    if (outcomes.length === 0) this.#byService.delete(service);
    else this.#byService.set(service, outcomes);
    return new Set([...before, ...outcomes].map(({ route }) => route));
  }

  /** All that is said of a route, if it is not what was said of this very object before. */
  newsOf(route: MeshRoute): readonly ParentOutcome[] | undefined {
    const outcomes = route.parents.flatMap((parent) =>
      (this.#byService.get(parent.service) ?? []).filter((outcome) => outcome.parent === parent),
    );
    const text = JSON.stringify(outcomes);
    if (this.#told.get(route) === text) return undefined;
    this.#told.set(route, text);
    return outcomes;
  }
}
