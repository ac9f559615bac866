import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "@weft/foundation/testing";
import { isRecord, kinds, type Pod } from "@weft/kube";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../e2e/laptop.js";
import { kubectlPath, must } from "./command.js";
import { kubeconfig, needsCluster, root, verb } from "./environment.js";
import { checkoutImages, type Images, localTooling } from "./images.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

const megabyte = 1_000_000;
const foreignArchitecture = "linux/arm64";
const registry = process.env["WEFT_REGISTRY"];
const withBuildah = kubeconfig !== undefined && verb("base-images") !== undefined;
process.env["STORAGE_DRIVER"] ??= "overlay";
process.env["BUILDAH_ISOLATION"] ??= "chroot";

describe.skipIf(!withBuildah)("the images (skipped without WEFT_CLUSTER, whose base images buildah finds)", () => {
  let images: Images;
  let folder = "";

  beforeAll(async () => {
    images = await checkoutImages();
    folder = mkdtempSync(join(tmpdir(), "weft-images-test-"));
  }, 900_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("a plain service adds one layer of at most 15 MB to its base, with its bundle and nothing native", async () => {
    const base = await layersOf("gcr.io/distroless/nodejs24-debian12:nonroot", join(folder, "base"));
    for (const [name, reference] of Object.entries(images)) {
      const layers = await layersOf(local(reference), join(folder, name));
      const added = layers.filter(({ digest }) => !base.some((one) => one.digest === digest));
      expect(layers.length - added.length, name).toBe(base.length);
      expect(added, name).toHaveLength(1);
      expect(added[0]?.size, name).toBeLessThan(15 * megabyte);
      const files = (await must("tar", ["-tf", join(folder, name, added[0]?.digest ?? "")])).trim().split("\n");
      expect(files, name).toContain("app/main.js");
      expect(
        files.filter((file) => !/^app\/(main\.js(\.map)?|package\.json|page\/.*)?$/.test(file)),
        name,
      ).toEqual([]);
      rmSync(join(folder, name), { recursive: true });
    }
  }, 600_000);

  test("an image names its source, version, revision and licence, and starts Node without a shell as a numbered user", async () => {
    const { config } = await inspect(local(images["gateway"] ?? ""));
    const revision = (await must("git", ["-C", root, "rev-parse", "HEAD"])).trim();
    expect(config.Labels).toMatchObject({
      "org.opencontainers.image.title": "weft gateway",
      "org.opencontainers.image.source": "https://github.com/weft-mesh/weft",
      "org.opencontainers.image.version": "0.1.0",
      "org.opencontainers.image.licenses": "Apache-2.0",
    });
    expect(config.Labels["org.opencontainers.image.revision"]).toMatch(new RegExp(`^${revision}(-modified)?$`));
    expect(config.User).toBe("65532:65532");
    expect(config.Entrypoint).toEqual(["/nodejs/bin/node", "--enable-source-maps", "/app/main.js"]);
  }, 60_000);

  test("the same sources give the same layers, built anew at another time and place", async () => {
    const copy = join(folder, "copy");
    // Other times and another folder; -m leaves the times of the files behind.
    const files = "git ls-files -coz --exclude-standard | tar --null --ignore-failed-read -T - -c";
    await must("sh", ["-c", `mkdir "$1" && cd "$2" && ${files} | tar -xm -C "$1"`, "sh", copy, root]);
    const tag = "again";
    const args = [...localTooling().filter((arg) => arg !== "--plain-http"), "--no-cache", "--tag", tag, "inventory"];
    await must(process.execPath, [join(copy, "scripts/images.mjs"), ...args]);
    const again = await inspect(`ghcr.io/weft-mesh/inventory:${tag}`);
    const first = await inspect(local(images["inventory"] ?? ""));
    expect(again.rootfs.diff_ids).toEqual(first.rootfs.diff_ids);
  }, 600_000);

  test.skipIf(registry === undefined)(
    "the same file makes an image for arm64 of the same layer (built, never run here; skipped without a registry)",
    async () => {
      const base = `${registry}/base-of-another-architecture:test`;
      const container = (await must("buildah", ["from", "scratch"])).trim();
      await must("buildah", ["config", "--arch", "arm64", container]);
      await must("buildah", ["commit", "-q", "--timestamp", "0", container, base]);
      await must("buildah", ["rm", container]);
      await must("buildah", ["push", "-q", "--tls-verify=false", base]);
      // A name of the local store hides the registry's of another architecture.
      await must("buildah", ["rmi", base]);
      const image = "localhost/weft-inventory-elsewhere:test";
      const args = ["--build-arg", "SERVICE=inventory", "--build-arg", `NODE_RUN=${base}`];
      const own = ["--build-arg", `BUILDPLATFORM=linux/${process.arch === "x64" ? "amd64" : process.arch}`];
      const how = ["build", "--layers", "--tls-verify=false", "--timestamp", "0", "--platform", foreignArchitecture];
      await must("buildah", [...how, ...own, ...args, "--tag", image, root]);
      const built = await inspect(image);
      const native = await inspect(local(images["inventory"] ?? ""));
      expect(built.architecture).toBe("arm64");
      expect(built.rootfs.diff_ids.at(-1)).toBe(native.rootfs.diff_ids.at(-1));
    },
    300_000,
  );
});

describe.skipIf(kubeconfig === undefined)(`a container of an image ${needsCluster}`, () => {
  let cluster: ShopCluster;

  beforeAll(async () => {
    cluster = await shopCluster();
  }, 900_000);

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  const inPod = (pod: Pod, ...command: readonly string[]) => {
    const where = ["--kubeconfig", kubeconfig ?? "", "-n", pod.metadata.namespace ?? "", pod.metadata.name];
    return run(kubectlPath, ["exec", ...where, "--", ...command]);
  };

  test("runs as a numbered user that is not root, on a file system it cannot write to, and has no shell", async () => {
    const [pod] = await cluster.podsOf("shop", "inventory");
    if (pod === undefined) throw new Error("no pod of inventory");
    const told = `
      const { readFileSync, writeFileSync } = require("node:fs");
      const tryWrite = (path) => { try { writeFileSync(path, ""); return "written"; } catch (error) { return error.code; } };
      console.log(JSON.stringify({
        uid: process.getuid(), first: readFileSync("/proc/1/cmdline", "utf8").split("\\0")[0],
        app: tryWrite("/app/new"), tmp: tryWrite("/tmp/new"), snapshot: tryWrite("/var/run/weft/new"),
      }))`;
    const answer = await inPod(pod, "/nodejs/bin/node", "-e", told);
    expect(JSON.parse(answer.stdout)).toEqual({
      uid: 65532,
      first: "/nodejs/bin/node",
      app: "EROFS",
      tmp: "EROFS",
      snapshot: "written",
    });
    await inPod(pod, "/nodejs/bin/node", "-e", `require("node:fs").rmSync("/var/run/weft/new")`);
    expect((await inPod(pod, "/bin/sh", "-c", "true")).code).not.toBe(0);
  }, 120_000);

  test("as process 1 takes SIGTERM, drains and ends with 0 before its grace is over", async () => {
    const [pod] = await cluster.podsOf("shop", "inventory");
    if (pod === undefined) throw new Error("no pod of inventory");
    const { name, namespace = "" } = pod.metadata;
    const graceMs = 1_000 * (pod.spec?.terminationGracePeriodSeconds ?? 0);
    const follow = ["--kubeconfig", kubeconfig ?? "", "-n", namespace, "logs", "-f", "--tail=1", name];
    const logs = spawn(kubectlPath, follow, { stdio: ["ignore", "pipe", "ignore"] });
    let printed = "";
    logs.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
    });
    const ended = new Promise<void>((resolve) => logs.once("close", () => resolve()));
    // It follows once the line that was there has come.
    await eventually(() => printed !== "", { ceilingMs: 30_000, what: `the log of ${name}` });
    const startedMs = performance.now();
    await cluster.client.delete(kinds.pod, { namespace, name });
    await ended;
    expect(performance.now() - startedMs).toBeLessThan(graceMs);
    expect(printed).toContain(`"stopping"`);
    const last = printed.trim().split("\n").at(-1) ?? "";
    expect(JSON.parse(last)).toMatchObject({ message: "stopped", code: 0 });
    await eventually(
      async () => (await cluster.podsOf(namespace, "inventory")).every((one) => one.metadata.name !== name),
      {
        ceilingMs: 60_000,
        everyMs: 200,
        what: `pod ${name} gone`,
      },
    );
    await cluster.ready(namespace, "inventory");
  }, 300_000);
});

interface ImageFacts {
  readonly architecture: string;
  readonly rootfs: { readonly diff_ids: readonly string[] };
  readonly config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
}

/** What buildah's store has under a name; an image is pushed under the name that it has there. */
async function inspect(image: string): Promise<ImageFacts> {
  return parseFacts(JSON.parse(await must("buildah", ["inspect", "--type", "image", image])));
}

function parseFacts(value: unknown): ImageFacts {
  const facts = isRecord(value) ? value["OCIv1"] : undefined;
  if (!isRecord(facts)) throw new Error("buildah told nothing of the image");
  return facts as unknown as ImageFacts;
}

/** The layers of an image as plain archives in a folder, each named by its digest, with its size. */
async function layersOf(image: string, into: string): Promise<{ readonly digest: string; readonly size: number }[]> {
  if (!existsSync(into)) await must("buildah", ["push", "-q", "-D", image, `dir:${into}`]);
  return parseManifest(JSON.parse(readFileSync(join(into, "manifest.json"), "utf8"))).layers.map(
    ({ digest, size }) => ({
      digest: digest.replace("sha256:", ""),
      size,
    }),
  );
}

function parseManifest(value: unknown): {
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
} {
  return value as { readonly layers: readonly { readonly digest: string; readonly size: number }[] };
}

/** The reference without its digest, as the builder's own store knows it. */
function local(reference: string): string {
  return reference.split("@")[0] ?? "";
}
