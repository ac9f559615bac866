import type { Route } from "@weft/contracts/envoy/config/route/v3";
import type { Parsed } from "@weft/foundation";
import { keyParts, type ServiceKey } from "../model/keys.js";
import { holds, type ParentOutcome, type Verdict } from "../model/outcome.js";
import type { MeshRoute, RouteParent } from "../model/route.js";
import type { MeshPort } from "../model/service.js";
import type { MeshView } from "../model/view.js";
import { resolveAll } from "./backends.js";
import { type CompiledRoute, compileRules } from "./route-rules.js";

/** The routes of one port of a Service, for everybody and for clients of namespaces that have routes of their own. */
export interface AttachedRoutes {
  /** Absent when no producer route is in force: then all calls go to the Service itself. */
  readonly producer: readonly Route[] | undefined;
  readonly consumers: ReadonlyMap<string, readonly Route[]>;
}

export interface Attachment {
  /** By port number. */
  readonly ports: ReadonlyMap<number, AttachedRoutes>;
  readonly outcomes: readonly ParentOutcome[];
}

interface Candidate {
  readonly route: MeshRoute;
  readonly parent: RouteParent;
  readonly matching: readonly MeshPort[];
  readonly rules: Parsed<readonly CompiledRoute[]>;
  /** How many matches were to be put in force, and for which an older route had said the same. */
  placed: number;
  shadowedBy: { readonly count: number; readonly route: MeshRoute } | undefined;
}

/** Attaches every route that names this Service, and says what became of each. */
export function attachRoutes(view: MeshView, service: ServiceKey): Attachment {
  const ports = view.service(service)?.ports ?? [];
  const candidates: Candidate[] = [];
  for (const route of view.routesOf(service)) {
    const rules = compileRules(view, route);
    for (const parent of route.parents) {
      if (parent.service !== service) continue;
      const matching = ports.filter(
        ({ name, port }) =>
          (parent.port === undefined || parent.port === port) &&
          (parent.sectionName === undefined || parent.sectionName === name),
      );
      candidates.push({ route, parent, matching, rules, placed: 0, shadowedBy: undefined });
    }
  }
  candidates.sort(byAge);
  const attached = new Map(ports.map((port) => [port.port, attachTo(service, port, candidates)]));
  return { ports: attached, outcomes: candidates.map((candidate) => outcomeOf(view, service, candidate)) };
}

function attachTo(service: ServiceKey, port: MeshPort, candidates: readonly Candidate[]): AttachedRoutes {
  const { namespace: home } = keyParts(service);
  const audiences = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    if (!candidate.rules.ok || !candidate.matching.includes(port)) continue;
    const { namespace } = candidate.route;
    audiences.set(namespace, [...(audiences.get(namespace) ?? []), candidate]);
  }
  const producers = audiences.get(home);
  audiences.delete(home);
  return {
    producer: producers === undefined ? undefined : merge(producers),
    // Routes of the caller's own namespace replace those of the Service's (GEP-1426, consumer routes).
    consumers: new Map([...audiences].map(([namespace, routes]) => [namespace, merge(routes)])),
  };
}

/** All matches of some routes, the most specific first; of two that say the same, the older route's is in force. */
function merge(candidates: readonly Candidate[]): Route[] {
  const entries = candidates.flatMap((candidate, age) =>
    (candidate.rules.ok ? candidate.rules.value : []).map((compiled, order) => ({ candidate, compiled, age, order })),
  );
  entries.sort(
    (a, b) =>
      comparePrecedence(a.compiled.match.precedence, b.compiled.match.precedence) || a.age - b.age || a.order - b.order,
  );
  const taken = new Map<string, Candidate>();
  const routes: Route[] = [];
  for (const { candidate, compiled } of entries) {
    const winner = taken.get(compiled.match.identity);
    candidate.placed += 1;
    if (winner === undefined) {
      taken.set(compiled.match.identity, candidate);
      routes.push(compiled.message);
    } else if (winner.route !== candidate.route) {
      candidate.shadowedBy = { count: (candidate.shadowedBy?.count ?? 0) + 1, route: winner.route };
    }
  }
  return routes;
}

function outcomeOf(view: MeshView, service: ServiceKey, candidate: Candidate): ParentOutcome {
  const { route, parent, matching, rules, placed, shadowedBy } = candidate;
  const base = { route: route.key, parent, resolved: resolveAll(view, route) };
  const refusedAs = (accepted: Verdict): ParentOutcome => ({ ...base, accepted, partlyInvalid: holds });
  if (matching.length === 0) {
    return refusedAs({ ok: false, reason: "NoMatchingParent", message: noParent(view, service, parent) });
  }
  if (!rules.ok) return refusedAs({ ok: false, reason: "UnsupportedValue", message: rules.error });
  if (shadowedBy === undefined) return { ...base, accepted: holds, partlyInvalid: holds };
  const message = `${shadowedBy.count} of ${placed} matches are those of ${JSON.stringify(shadowedBy.route.key)}, which is older`;
  const conflict: Verdict = { ok: false, reason: "RouteConflict", message };
  return shadowedBy.count === placed ? refusedAs(conflict) : { ...base, accepted: holds, partlyInvalid: conflict };
}

function noParent(view: MeshView, service: ServiceKey, parent: RouteParent): string {
  if (view.service(service) === undefined) return `there is no Service ${JSON.stringify(service)}`;
  const wanted = [
    ...(parent.port === undefined ? [] : [`port ${parent.port}`]),
    ...(parent.sectionName === undefined ? [] : [`port named ${JSON.stringify(parent.sectionName)}`]),
  ];
  return `Service ${JSON.stringify(service)} has no TCP ${wanted.join(", ") || "port"}`;
}

/** Older first, then by name (Gateway API's rule for conflicts). */
function byAge(a: Candidate, b: Candidate): number {
  const [ageA, ageB] = [Date.parse(a.route.createdAt), Date.parse(b.route.createdAt)];
  if (ageA !== ageB && !Number.isNaN(ageA) && !Number.isNaN(ageB)) return ageA - ageB;
  return a.route.key < b.route.key ? -1 : a.route.key > b.route.key ? 1 : 0;
}

function comparePrecedence(a: readonly number[], b: readonly number[]): number {
  for (const [index, number] of a.entries()) {
    const difference = (b[index] ?? 0) - number;
    if (difference !== 0) return difference;
  }
  return 0;
}
