import { isRecord } from "@weft/kube";
import { kubectl } from "./command.js";
import { verb } from "./environment.js";
import { bringForeignImages, type Images } from "./images.js";
import { foreignImages, overlayWith } from "./overlay.js";

const namespaces = ["weft", "shop"];

/** Gateway API's kinds, from WEFT_GATEWAY_API (a file, folder or URL for `kubectl apply -f`) or the cluster's folder, unless they are there. */
export async function installGatewayApi(): Promise<void> {
  const from = process.env["WEFT_GATEWAY_API"] ?? verb("crds");
  const there = await kubectl([
    "get",
    "crd",
    "grpcroutes.gateway.networking.k8s.io",
    "--ignore-not-found",
    "-o",
    "name",
  ]);
  if (there === "") {
    if (from === undefined)
      throw new Error("the cluster has no GRPCRoute: install Gateway API, or set WEFT_GATEWAY_API");
    await kubectl(["apply", "--server-side", "-f", from]);
  }
  await kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
}

/** Applies an overlay with the images of this run and waits until every Deployment has rolled out. Gives what kubectl printed. */
export async function installShop(overlay: string, images: Images): Promise<string> {
  await bringForeignImages(await foreignImages(overlay));
  using rendered = overlayWith(overlay, images);
  await removeOldSetup(images);
  const printed = await kubectl(["apply", "-k", rendered.folder]);
  await rolledOut();
  return printed;
}

/** Waits until every Deployment of both namespaces has rolled out; what stands in the way is in the error. */
export async function rolledOut(): Promise<void> {
  for (const namespace of namespaces) {
    const deployments = (await kubectl(["get", "deployments", "-n", namespace, "-o", "name"])).trim().split("\n");
    for (const deployment of deployments) {
      try {
        await kubectl(["rollout", "status", deployment, "-n", namespace, "--timeout=300s"]);
      } catch (error) {
        throw new Error(`${namespace}/${deployment} did not roll out\n${await whatIsWrong(namespace)}`, {
          cause: error,
        });
      }
    }
  }
}

/** Takes the shop and all that its Job made away; Gateway API's kinds stay. */
export async function uninstallShop(overlay = "cluster"): Promise<void> {
  using rendered = overlayWith(overlay, {});
  await kubectl(["delete", "-k", rendered.folder, "--ignore-not-found", "--wait", "--timeout=240s"]);
}

/** A Job's template cannot be changed: one of another image makes way for the new one. */
async function removeOldSetup(images: Images): Promise<void> {
  const found = await kubectl(["get", "job", "database-setup", "-n", "shop", "--ignore-not-found", "-o", "json"]);
  if (found === "" || imageOfJob(JSON.parse(found)) === images["database-setup"]?.replace(/:[^:@/]+@/, "@")) return;
  await kubectl(["delete", "job", "database-setup", "-n", "shop", "--wait"]);
}

function imageOfJob(job: unknown): string | undefined {
  const images = /"image":"([^"]+)"/.exec(JSON.stringify(isRecord(job) ? job["spec"] : {}));
  return images?.[1];
}

/** The Pods of a namespace, and the last words of those that are not ready. */
async function whatIsWrong(namespace: string): Promise<string> {
  const parts = [await kubectl(["get", "pods", "-n", namespace, "-o", "wide"])];
  const unready =
    parts[0]
      ?.split("\n")
      .slice(1)
      .filter((line) => /\s0\/1\s/.test(line)) ?? [];
  for (const line of unready.slice(0, 4)) {
    const [pod = ""] = line.split(/\s+/);
    for (const args of [
      ["logs", pod, "--tail=5"],
      ["get", "events", `--field-selector=involvedObject.name=${pod}`],
    ])
      parts.push(await kubectl([...args, "-n", namespace]).catch((error: unknown) => String(error)));
  }
  return parts.join("\n");
}
