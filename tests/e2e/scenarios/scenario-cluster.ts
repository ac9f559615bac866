import type { KubeClient, Pod } from "@weft/kube";
import { podsOf } from "../pods.js";
import type { SteadyResult } from "../steady.js";

/** What a scenario works on: the laptop, or any cluster that the shop runs on. */
export interface ScenarioCluster {
  readonly client: KubeClient;
  /** Calls that a Pod has served so far, by its own metrics. */
  servedCalls(pod: Pod): Promise<number>;
}

/** Calls at a steady rate, begun. */
export interface RunningCalls {
  stop(): Promise<SteadyResult>;
}

/** Calls served by each of the Pods of a Deployment together. */
export async function servedBy(cluster: ScenarioCluster, namespace: string, name: string): Promise<number> {
  const pods = await podsOf(cluster.client, namespace, name);
  const counts = await Promise.all(pods.map((pod) => cluster.servedCalls(pod)));
  return counts.reduce((sum, count) => sum + count, 0);
}
