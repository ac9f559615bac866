import { isRecord, type KubeClient } from "@weft/kube";
import { parseMilli } from "../../kinds/quantity.js";
import type { MetricValues } from "./evaluate.js";

const group = "custom.metrics.k8s.io";

/** Asks custom.metrics.k8s.io, in the version that the API prefers, what each selected Pod says of a metric. Never rejects but when aborted. */
export async function readPodsMetric(
  client: KubeClient,
  wanted: { readonly namespace: string; readonly labelSelector: string; readonly name: string },
  signal: AbortSignal,
): Promise<MetricValues> {
  const failed = (why: string): MetricValues => ({ t: "failed", why });
  const found = await client.request({ method: "GET", path: `/apis/${group}`, signal });
  const version = found.code === 200 ? preferredVersion(found.text) : undefined;
  if (version === undefined) return failed(`no custom metrics API (${group}) registered`);
  const path = `/apis/${group}/${version}/namespaces/${wanted.namespace}/pods/*/${wanted.name}`;
  const { code, text } = await client.request({
    method: "GET",
    path,
    query: { labelSelector: wanted.labelSelector },
    timeoutMs: 5_000,
    signal,
  });
  if (code === 200) return { t: "values", values: parseValues(text) };
  return failed(`unable to fetch metrics from custom metrics API: ${messageOf(text) ?? `status ${code}`}`);
}

function preferredVersion(text: string): string | undefined {
  const document: unknown = JSON.parse(text);
  const preferred = isRecord(document) ? document["preferredVersion"] : undefined;
  return isRecord(preferred) && typeof preferred["version"] === "string" ? preferred["version"] : undefined;
}

/** A MetricValueList: alike in v1beta1 and v1beta2 but for how it names the metric. */
function parseValues(text: string): ReadonlyMap<string, number> {
  const list: unknown = JSON.parse(text);
  const items: readonly unknown[] = isRecord(list) && Array.isArray(list["items"]) ? list["items"] : [];
  const values = new Map<string, number>();
  for (const item of items) {
    if (!isRecord(item) || !isRecord(item["describedObject"])) continue;
    const milli = parseMilli(item["value"]);
    if (milli !== undefined) values.set(String(item["describedObject"]["name"]), milli);
  }
  return values;
}

/** The message of a Status, or the words of a plain answer. */
function messageOf(text: string): string | undefined {
  try {
    const status: unknown = JSON.parse(text);
    return isRecord(status) && typeof status["message"] === "string" ? status["message"] : undefined;
  } catch {
    // Not JSON: a proxy's own words.
    return text.trim() === "" ? undefined : text.trim();
  }
}
