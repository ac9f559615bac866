import { type CallHead, type ForwardAction, findRoute, pickCluster, type WeightedCluster } from "../route/route.js";
import type { Snapshot } from "../snapshot/snapshot.js";
import type { Subchannel } from "../subchannel/subchannel.js";

/** What the routes say about a call: found once, kept over its attempts. */
export interface ChosenRoute {
  readonly action: ForwardAction;
  readonly cluster: WeightedCluster;
}

/** What a snapshot has for a call. */
export type Choice =
  | { readonly t: "send"; readonly route: ChosenRoute; readonly endpoint: Subchannel }
  /** A later snapshot will have the configuration. */
  | { readonly t: "unconfigured"; readonly missing: string }
  /** A later snapshot will have an endpoint that is connected. */
  | { readonly t: "connecting"; readonly route: ChosenRoute; readonly missing: string }
  /** No endpoint can be reached since then. */
  | { readonly t: "down"; readonly route: ChosenRoute; readonly message: string; readonly sinceMs: number }
  | { readonly t: "fail"; readonly message: string };

/** Chooses route, cluster and endpoint. Reads one snapshot, waits for nothing. */
export function choose(options: {
  readonly snapshot: Snapshot;
  readonly target: string;
  readonly head: CallHead;
  /** Of an earlier attempt; chosen anew when the cluster that it names has gone. */
  readonly route: ChosenRoute | undefined;
  readonly tried: ReadonlySet<string>;
  readonly random: () => number;
}): Choice {
  const { snapshot, head, tried } = options;
  const kept = options.route !== undefined && snapshot.clusters.has(options.route.cluster.name);
  const found =
    kept && options.route !== undefined ? { t: "route" as const, route: options.route } : chooseRoute(options);
  if (found.t !== "route") return found;
  const { route } = found;
  const what = `cluster ${JSON.stringify(route.cluster.name)}`;
  const cluster = snapshot.clusters.get(route.cluster.name);
  if (cluster === undefined) return { t: "unconfigured", missing: what };
  if (cluster.t === "pending") return { t: "unconfigured", missing: cluster.missing };
  if (cluster.t === "failed") return { t: "fail", message: cluster.message };
  const pick = cluster.picker.pick({ path: head.path, tried });
  switch (pick.t) {
    case "complete":
      return { t: "send", route, endpoint: pick.endpoint };
    case "queue":
      return { t: "connecting", route, missing: `a connection to ${what}` };
    case "fail":
      return { t: "down", route, message: `${what}: ${pick.message}`, sinceMs: cluster.downSinceMs };
  }
}

function chooseRoute(options: {
  readonly snapshot: Snapshot;
  readonly target: string;
  readonly head: CallHead;
  readonly random: () => number;
}): Choice | { readonly t: "route"; readonly route: ChosenRoute } {
  const { head, random } = options;
  const target = options.snapshot.targets.get(options.target);
  if (target === undefined) {
    return { t: "unconfigured", missing: "a control plane: this process was started without one" };
  }
  if (target.t === "pending") return { t: "unconfigured", missing: target.missing };
  if (target.t === "failed") return { t: "fail", message: target.message };
  const route = findRoute(target.host, head, random);
  if (route === undefined || route.action.t === "refuse") {
    return { t: "fail", message: `${options.target} has no route for ${head.path}` };
  }
  const cluster = pickCluster(route.action, random);
  if (cluster === undefined) return { t: "fail", message: `the route of ${head.path} names no cluster` };
  return { t: "route", route: { action: route.action, cluster } };
}
