import { cpus, hostname, release, totalmem } from "node:os";
import { isKubeError, type KubeClient, kinds } from "@weft/kube";

/** The name of the one node. */
export const nodeName = "laptop";

/** Puts this machine into the API as the cluster's one node. */
export async function registerNode(client: KubeClient, address: string, signal: AbortSignal): Promise<void> {
  const labels = {
    "kubernetes.io/hostname": nodeName,
    "kubernetes.io/os": process.platform,
    "kubernetes.io/arch": process.arch === "x64" ? "amd64" : process.arch,
    "topology.kubernetes.io/region": "local",
    "topology.kubernetes.io/zone": "local",
  };
  try {
    await client.create(kinds.node, { metadata: { name: nodeName, labels } }, { signal });
  } catch (error) {
    if (!isKubeError(error, "already-exists")) throw error;
  }
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const resources = { cpu: String(cpus().length), memory: `${Math.floor(totalmem() / 1024)}Ki`, pods: "253" };
  const status = {
    conditions: [
      {
        ...{ type: "Ready", status: "True", reason: "LaptopReady", message: "the laptop is up" },
        ...{ lastHeartbeatTime: now, lastTransitionTime: now },
      },
    ],
    addresses: [
      { type: "InternalIP", address },
      { type: "Hostname", address: hostname() },
    ],
    capacity: resources,
    allocatable: resources,
    nodeInfo: {
      ...{ architecture: labels["kubernetes.io/arch"], operatingSystem: process.platform, kernelVersion: release() },
      ...{ osImage: `Node.js ${process.version}`, containerRuntimeVersion: `process://${process.versions.node}` },
      ...{ kubeletVersion: "v1.37.0-weft", kubeProxyVersion: "", machineID: "", systemUUID: "", bootID: "" },
    },
  };
  await client.patch(
    kinds.node,
    { name: nodeName },
    { t: "merge", body: { status } },
    { subresource: "status", signal },
  );
}
