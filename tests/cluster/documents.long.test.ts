import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { placeOf, readBlocks } from "../docs/blocks.js";
import { parseCommands } from "../docs/shell.js";
import { type DocumentShell, documentShell } from "./document-shell.js";
import { kubeconfig, needsCluster } from "./environment.js";
import { overlayWith } from "./overlay.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

const blocks = readBlocks().filter(({ language }) => language === "sh cluster");

describe.skipIf(kubeconfig === undefined)(`every command of the documents for a cluster ${needsCluster}`, () => {
  let cluster: ShopCluster;
  let shell: DocumentShell;
  let overlay: ReturnType<typeof overlayWith>;
  /** What the documents call differently: the overlay without this run's images, ports of this machine that may be taken, keys that were used before. */
  const substitutes = new Map<string, string>([
    ["my-card", randomUUID()],
    ["my-order", randomUUID()],
  ]);
  const printed = new Map<string, string>();

  beforeAll(async () => {
    cluster = await shopCluster();
    overlay = overlayWith("cluster", cluster.images);
    substitutes.set("k8s/overlays/cluster", overlay.folder);
    shell = documentShell(substitutes);
  }, 900_000);

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    overlay?.[Symbol.dispose]();
    shell?.[Symbol.dispose]();
  });

  test.each(blocks.map((block) => [placeOf(block), block] as const))(
    "%s",
    async (_, block) => {
      const lines: string[] = [];
      for (const { text } of parseCommands(block)) {
        const forward = /^kubectl port-forward -n (\S+) (\S+) (\d+) &$/.exec(text);
        if (forward === null) {
          lines.push(text);
          continue;
        }
        // It goes on until Ctrl-C, and the blocks after it use it.
        const [, namespace = "", target = "", port = ""] = forward;
        const { url } = await cluster.portForward(namespace, target, port);
        substitutes.set(`http://127.0.0.1:${port}`, url);
      }
      const { code, stdout, stderr } = await shell.run(lines.join("\n"));
      expect(code, `${stdout}${stderr}`).toBe(0);
      if (lines.length > 0) expect(stdout).toMatch(/\S/);
      printed.set(placeOf(block), stdout);
      // curl ends with 0 whatever the answer when it shows the headers.
      if (lines.some((line) => line.startsWith("curl -si"))) expect(stdout).toMatch(/^HTTP\/1\.1 200 /);
    },
    600_000,
  );

  test("the order that the README places is one trace in Jaeger", async () => {
    const order = blocks.find(({ file, text }) => file === "README.md" && text.includes("/PlaceOrder"));
    const answer = order && printed.get(placeOf(order));
    await cluster.jaegerTrace(/^weft-trace-id: (\w+)/im.exec(answer ?? "")?.[1] ?? "");
  }, 120_000);
});
