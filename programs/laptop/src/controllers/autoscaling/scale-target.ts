import { isRecord, type KubeClient } from "@weft/kube";
import type { Autoscaler } from "./evaluate.js";

/** The `scale` of what an autoscaler names. */
export interface Scale {
  readonly replicas: number;
  readonly selector: string;
  /** As it was read: sent back with another number of replicas. */
  readonly object: Readonly<Record<string, unknown>>;
}

export type ReadScale = { readonly t: "scale"; readonly scale: Scale } | { readonly t: "failed"; readonly why: string };

/** Kinds that have a scale here. */
const plurals: Readonly<Record<string, string>> = {
  Deployment: "deployments",
  ReplicaSet: "replicasets",
  StatefulSet: "statefulsets",
};

/** Where the scale of the target is; `undefined` when that kind has none. */
export function scalePath({ metadata, spec }: Autoscaler): string | undefined {
  const { apiVersion = "apps/v1", kind, name } = spec.scaleTargetRef;
  const plural = plurals[kind];
  if (plural === undefined) return undefined;
  return `/apis/${apiVersion}/namespaces/${metadata.namespace ?? "default"}/${plural}/${name}/scale`;
}

export async function readScale(client: KubeClient, path: string | undefined, signal: AbortSignal): Promise<ReadScale> {
  if (path === undefined) return { t: "failed", why: "no kind with a scale matches" };
  const { code, text } = await client.request({ method: "GET", path, signal });
  const object: unknown = JSON.parse(text);
  if (code !== 200) return { t: "failed", why: messageOf(object) };
  const spec = isRecord(object) && isRecord(object["spec"]) ? object["spec"] : {};
  const status = isRecord(object) && isRecord(object["status"]) ? object["status"] : {};
  // Zero is what a number that is left out means.
  const replicas = typeof spec["replicas"] === "number" ? spec["replicas"] : 0;
  const selector = typeof status["selector"] === "string" ? status["selector"] : "";
  return { t: "scale", scale: { replicas, selector, object: isRecord(object) ? object : {} } };
}

/** Writes another number of replicas on what was read; gives why it did not work. */
export async function writeScale(
  client: KubeClient,
  path: string,
  { object }: Scale,
  replicas: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const body = { ...object, spec: { replicas } };
  const query = { fieldManager: "horizontal-pod-autoscaler" };
  const { code, text } = await client.request({ method: "PUT", path, query, body, signal });
  return code === 200 ? undefined : messageOf(JSON.parse(text));
}

function messageOf(status: unknown): string {
  return isRecord(status) && typeof status["message"] === "string" ? status["message"] : "no reason given";
}
