import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { kinds } from "@weft/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CommandResult, run } from "../e2e/laptop.js";
import { kubectl, kubectlPath } from "./command.js";
import { kubeconfig, root, verb } from "./environment.js";
import { bringForeignImages, localTooling } from "./images.js";
import { installGatewayApi } from "./install.js";
import { foreignImages } from "./overlay.js";
import { bareCluster, type ShopCluster } from "./shop-cluster.js";

const registry = process.env["WEFT_REGISTRY"];
const skaffold = [process.env["WEFT_TOOLS"] ?? "", ...(process.env["PATH"] ?? "").split(delimiter)]
  .filter((folder) => folder !== "")
  .map((folder) => join(folder, "skaffold"))
  .find(existsSync);
const able = kubeconfig !== undefined && registry !== undefined && skaffold !== undefined;

describe.skipIf(!able)(
  "skaffold (skipped without a cluster, WEFT_REGISTRY, and skaffold on the path or in WEFT_TOOLS)",
  () => {
    let cluster: ShopCluster;
    let folder = "";

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "weft-skaffold-"));
      cluster = await bareCluster({});
      await installGatewayApi();
      await bringForeignImages(await foreignImages("cluster"));
    }, 900_000);

    afterAll(async () => {
      await kubectl(["delete", "job", "order-trace", "-n", "default", "--ignore-not-found"]);
      await cluster?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    }, 60_000);

    /** Runs skaffold as on a machine without Docker, pushing to the cluster's registry. */
    const runSkaffold = (...args: readonly string[]): Promise<CommandResult> => {
      const host = (registry ?? "").split("/")[0] ?? "";
      const plainHttp = localTooling().includes("--plain-http");
      return run(skaffold ?? "", [...args, "--profile=buildah,cluster", `--default-repo=${registry}`], {
        env: {
          ...process.env,
          // skaffold and its hook run kubectl by name: a machine without one has the cluster's.
          PATH: [process.env["PATH"], ...(verb("kubectl") === undefined ? [] : [dirname(kubectlPath)])].join(delimiter),
          SKAFFOLD_UPDATE_CHECK: "false",
          SKAFFOLD_INTERACTIVE: "false",
          SKAFFOLD_CACHE_FILE: join(folder, "cache"),
          ...(plainHttp
            ? { SKAFFOLD_INSECURE_REGISTRY: host, WEFT_BASE_IMAGES: "local", WEFT_IMAGES_PLAIN_HTTP: "1" }
            : {}),
        },
      });
    };

    const deployedImages = async (): Promise<readonly string[]> => {
      const images: string[] = [];
      for (const namespace of ["weft", "shop"]) {
        const { items } = await cluster.client.list(kinds.deployment, { namespace });
        for (const { spec } of items)
          images.push(...(spec?.template?.spec?.containers ?? []).map(({ image }) => image ?? ""));
      }
      return images.sort();
    };

    test("`skaffold run -p buildah,cluster` builds, pushes and deploys, and waits until all is ready", async () => {
      const ran = await runSkaffold("run");
      expect(ran.code, `${ran.stdout}${ran.stderr}`).toBe(0);
      await cluster.allReady();
      const images = (await deployedImages()).filter((image) => !image.includes("jaeger"));
      expect(images.length).toBeGreaterThan(0);
      for (const image of images) expect(image.startsWith(`${registry?.split("/")[0]}/`), image).toBe(true);
    }, 900_000);

    test("a second run of the same files builds nothing and deploys the same images", async () => {
      const before = await deployedImages();
      const ran = await runSkaffold("run");
      expect(ran.code, `${ran.stdout}${ran.stderr}`).toBe(0);
      expect(ran.stdout).not.toMatch(/: Not found\. Building/);
      expect(await deployedImages()).toEqual(before);
    }, 900_000);

    test("`skaffold verify` places an order through the gateway and finds its trace in Jaeger", async () => {
      const artifacts = join(folder, "artifacts.json");
      const built = await runSkaffold("build", `--file-output=${artifacts}`);
      expect(built.code, `${built.stdout}${built.stderr}`).toBe(0);
      expect(readFileSync(artifacts, "utf8")).toContain("gateway");
      const verified = await runSkaffold("verify", `--build-artifacts=${artifacts}`);
      expect(verified.code, `${verified.stdout}${verified.stderr}`).toBe(0);
      expect(verified.stdout + verified.stderr).toContain("Jaeger has the trace, with gateway→orders, orders→catalog");
    }, 600_000);
  },
);

test.skipIf(skaffold === undefined)(
  "every profile of skaffold.yaml is one that skaffold reads (skipped without skaffold)",
  async () => {
    for (const profile of ["dev", "cluster", "debug", "buildah", "buildah,cluster", "buildah,debug"]) {
      const told = await run(skaffold ?? "", ["diagnose", "--yaml-only", `--profile=${profile}`], {
        cwd: root,
        env: { ...process.env, SKAFFOLD_UPDATE_CHECK: "false", SKAFFOLD_INTERACTIVE: "false" },
      });
      expect(told.code, told.stderr).toBe(0);
      expect(told.stdout).not.toContain("patches:");
    }
  },
  120_000,
);
