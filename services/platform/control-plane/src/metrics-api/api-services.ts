import type { Logger } from "@weft/foundation";
import { type ApiService, isKubeError, type KubeClient, kinds } from "@weft/kube";
import { group, versions } from "./documents.js";

/** The APIServices that hand this group to us, as they are now; those that are not installed are left out. */
export async function readApiServices(client: KubeClient, signal: AbortSignal): Promise<readonly ApiService[]> {
  const found: ApiService[] = [];
  for (const version of versions) {
    try {
      found.push(await client.get(kinds.apiService, { name: `${version}.${group}` }, { signal }));
    } catch (error) {
      if (!isKubeError(error, "not-found")) throw error;
    }
  }
  return found;
}

/**
 * Puts the roots into each APIService that has others, and takes back that any certificate will do.
 * An APIService that was changed since it was read is refused as a conflict: what is newer there is not overwritten with what is older here.
 */
export async function putRoots(
  ca: string,
  services: readonly ApiService[],
  parts: { readonly client: KubeClient; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const caBundle = Buffer.from(ca).toString("base64");
  for (const { metadata, spec } of services) {
    if (spec.caBundle === caBundle && spec.insecureSkipTLSVerify !== true) continue;
    const body = {
      metadata: { resourceVersion: metadata.resourceVersion },
      spec: { caBundle, insecureSkipTLSVerify: false },
    };
    await parts.client.patch(
      kinds.apiService,
      { name: metadata.name },
      { t: "merge", body },
      { signal: parts.signal, fieldManager: "weft-control-plane" },
    );
    parts.logger.info("root of the metrics API put into its APIService", { apiService: metadata.name });
  }
}
