import { serviceKey } from "../model/keys.js";
import { holds, type Verdict } from "../model/outcome.js";
import type { MeshRoute, RouteBackend } from "../model/route.js";
import type { MeshView } from "../model/view.js";
import { noBackend, portName } from "./names.js";

/** Where a backendRef leads: a cluster, or nowhere and why. */
export interface ResolvedBackend {
  readonly cluster: string;
  readonly verdict: Verdict;
}

/** Resolves one backendRef. What can't be resolved leads to the cluster without endpoints, so that its share of calls fails. */
export function resolveBackend(view: MeshView, route: MeshRoute, backend: RouteBackend): ResolvedBackend {
  const nowhere = (
    reason: "InvalidKind" | "RefNotPermitted" | "BackendNotFound" | "UnsupportedValue",
    message: string,
  ): ResolvedBackend => ({ cluster: noBackend, verdict: { ok: false, reason, message } });
  const shown = `backend ${JSON.stringify(`${backend.namespace}/${backend.name}`)}`;
  if (backend.group !== "" || backend.kind !== "Service") {
    const kind = backend.group === "" ? backend.kind : `${backend.group}/${backend.kind}`;
    return nowhere("InvalidKind", `${shown}: kind ${JSON.stringify(kind)} can't be a backend, only Service can`);
  }
  const key = serviceKey(backend.namespace, backend.name);
  // Asked first: whether a Service exists is not to be learned by those who may not name it.
  if (backend.namespace !== route.namespace && !view.isGranted(route.namespace, key)) {
    const where = JSON.stringify(backend.namespace);
    return nowhere(
      "RefNotPermitted",
      `${shown}: no ReferenceGrant in ${where} lets GRPCRoutes of ${JSON.stringify(route.namespace)} name it`,
    );
  }
  const service = view.service(key);
  if (service === undefined) return nowhere("BackendNotFound", `${shown}: there is no such Service`);
  if (backend.port === undefined) return nowhere("UnsupportedValue", `${shown}: a Service needs a port`);
  if (!service.ports.some(({ port }) => port === backend.port)) {
    return nowhere("BackendNotFound", `${shown}: the Service has no TCP port ${backend.port}`);
  }
  return { cluster: portName(key, backend.port), verdict: holds };
}

/** Whether all backends of a route can be reached; the first that can't be speaks for all. */
export function resolveAll(view: MeshView, route: MeshRoute): Verdict {
  for (const rule of route.rules) {
    for (const backend of rule.backends) {
      const { verdict } = resolveBackend(view, route, backend);
      if (!verdict.ok) return verdict;
    }
  }
  return holds;
}
