import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isRecord } from "@weft/kube";
import { parseAllDocuments } from "yaml";

const base = fileURLToPath(new URL("../../k8s/base", import.meta.url));

/** Who may call whom on a service port (8080), by the NetworkPolicies of the manifests: `orders→catalog`. */
export function declaredEdges(): string[] {
  const edges = new Set<string>();
  for (const file of yamlFiles(base)) {
    for (const document of parseAllDocuments(readFileSync(file, "utf8"))) {
      const policy: unknown = document.toJS();
      if (!isRecord(policy) || policy["kind"] !== "NetworkPolicy") continue;
      const spec = policy["spec"];
      if (!isRecord(spec)) continue;
      const to = nameIn(spec["podSelector"]);
      for (const rule of listOf(spec["ingress"])) {
        if (!isRecord(rule) || !listOf(rule["ports"]).some((port) => isRecord(port) && port["port"] === 8080)) continue;
        for (const peer of listOf(rule["from"])) if (isRecord(peer)) edges.add(`${nameIn(peer["podSelector"])}→${to}`);
      }
    }
  }
  return [...edges].sort();
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function nameIn(selector: unknown): string {
  const labels = isRecord(selector) ? selector["matchLabels"] : undefined;
  return isRecord(labels) ? String(labels["app.kubernetes.io/name"]) : "anyone";
}

function yamlFiles(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return yamlFiles(path);
    return path.endsWith(".yaml") ? [path] : [];
  });
}
