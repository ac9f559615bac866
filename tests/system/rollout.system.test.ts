import { kinds } from "@weft/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Laptop, shopClients, startLaptop } from "../e2e/laptop.js";
import { deploymentReady, podsOf } from "../e2e/pods.js";
import { podProcess } from "../e2e/processes.js";
import { steadyCalls } from "../e2e/steady.js";

let laptop: Laptop;
let call: () => Promise<unknown>;

beforeAll(async () => {
  laptop = await startLaptop();
  const shop = shopClients(laptop.gatewayUrl);
  const productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
  call = () => shop.catalog.getProduct({ productId });
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

test("weft restart catalog under 200 calls a second loses none", async () => {
  const before = new Set((await podsOf(laptop.client, "shop", "catalog")).map((pod) => pod.metadata.uid));
  const steady = steadyCalls(call, 200);
  expect(await laptop.weft("restart", "catalog")).toMatchObject({ code: 0 });
  await deploymentReady(laptop.client, "shop", "catalog");
  await new Promise((resolve) => setTimeout(resolve, 1_000)); // calls go on for a while on the new Pods
  const result = await steady.stop();
  expect(result.failures).toEqual([]);
  expect(result.sent).toBeGreaterThan(200);
  expect((await podsOf(laptop.client, "shop", "catalog")).filter((pod) => before.has(pod.metadata.uid))).toEqual([]);
}, 180_000);

test("kill -9 of a replica fails no idempotent call", async () => {
  const [victim] = await podsOf(laptop.client, "shop", "catalog");
  if (victim === undefined) throw new Error("catalog has no Pod");
  const steady = steadyCalls(call, 200);
  await new Promise((resolve) => setTimeout(resolve, 500)); // calls are under way
  process.kill(podProcess(victim), "SIGKILL");
  await deploymentReady(laptop.client, "shop", "catalog");
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // and while the replica comes back
  expect((await steady.stop()).failures).toEqual([]);
  const after = await laptop.client.get(kinds.pod, { namespace: "shop", name: victim.metadata.name });
  expect(after.status?.containerStatuses?.[0]?.restartCount).toBeGreaterThan(0);
}, 180_000);
