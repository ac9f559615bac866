import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, WatchSource } from "@weft/foundation";
import { eventually } from "@weft/foundation/testing";
import { createKubeClient, kinds, startInformer } from "@weft/kube";
import { expect, test } from "vitest";
import { createLaptopApi } from "../api/index.js";
import type { AddressBlock } from "./address-block.js";
import { startKubelet } from "./kubelet.js";
import { ProcessLedger } from "./process-ledger.js";

const namespace = "default";
const patient = { ceilingMs: 20_000 };

test("a Pod for which no address is free waits, says why, keeps no other from running, and runs when one is", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-kubelet-"));
  try {
    const none = () => Promise.reject(new Error("not here"));
    await using api = await createLaptopApi({
      ...{ directory: join(folder, "api"), logger: silentLogger },
      podAccess: { logs: none, connect: none },
    });
    await using client = createKubeClient(api.admin);
    await using pods = startInformer({ client, kind: kinds.pod });
    const free = ["127.9.7.2"];
    const addresses: AddressBlock = {
      ...{ prefix: "127.9.7", nodeAddress: "127.9.7.1" },
      allocate() {
        const address = free.pop();
        if (address === undefined) throw new Error("all Pod addresses are taken");
        return address;
      },
      free: (address) => void free.push(address),
      async [Symbol.asyncDispose]() {},
    };
    await using kubelet = startKubelet({
      ...{ client, pods, addresses },
      machine: {
        ...{ nodeName: "laptop", nodeAddress: addresses.nodeAddress, forcedEnv: {}, logger: silentLogger },
        podsFolder: join(folder, "pods"),
        logsFolder: join(folder, "logs"),
        images: () => ({ t: "program", file: process.execPath, args: ["-e", "setInterval(() => {}, 1000)"] }),
        postgres: { adminUrl: new WatchSource<string | undefined>(undefined), start: none },
        source: {
          configMap: () => undefined,
          secret: () => undefined,
          token: none,
          changed: (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
        },
        ledger: ProcessLedger.open(join(folder, "processes.json")),
        baseEnv: () => ({ PATH: process.env["PATH"] ?? "" }),
      },
    });
    const create = (name: string) =>
      client.create(kinds.pod, {
        metadata: { name, namespace },
        spec: { terminationGracePeriodSeconds: 1, containers: [{ name: "main", image: "example.test/thing:dev" }] },
      });
    const read = (name: string) => client.get(kinds.pod, { name, namespace });
    await create("first");
    await eventually(async () => (await read("first")).status?.phase === "Running", patient);
    await create("second");
    const whyNot = async () => (await read("second")).status?.conditions?.find(({ type }) => type === "Ready")?.message;
    await eventually(async () => (await whyNot()) === "all Pod addresses are taken", patient);
    await client.delete(kinds.pod, { name: "first", namespace });
    await eventually(async () => (await read("second")).status?.phase === "Running", patient);
    expect((await read("second")).status?.podIP).toBe("127.9.7.2");
    await kubelet.stopAll({ graceMs: 500, last: () => false });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
