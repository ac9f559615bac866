import { existsSync } from "node:fs";
import { eventually } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { newState, shopClients, startLaptop } from "../e2e/laptop.js";
import { podsOf } from "../e2e/pods.js";
import { podProcess } from "../e2e/processes.js";
import { orderOf, tokenOf } from "../e2e/shopping.js";

async function placeOrders(gatewayUrl: string, count: number): Promise<string[]> {
  const shop = shopClients(gatewayUrl);
  const productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
  const paymentToken = await tokenOf(shop);
  const ids: string[] = [];
  for (let placed = 0; placed < count; placed += 1) {
    const reply = await shop.orders.placeOrder(await orderOf(shop, { productId, paymentToken }));
    ids.push(reply.order?.orderId ?? "");
  }
  return ids;
}

async function listedOrders(gatewayUrl: string): Promise<string[]> {
  const page = await shopClients(gatewayUrl).orders.listOrders({ pageSize: 100 });
  return page.orders.map((order) => order.orderId);
}

test("a second start in the same folder keeps its orders", async () => {
  await using state = await newState();
  let placed: string[];
  {
    await using laptop = await startLaptop({ state: state.path });
    placed = await placeOrders(laptop.gatewayUrl, 3);
    expect(await laptop.stop()).toBe(0);
  }
  await using laptop = await startLaptop({ state: state.path });
  expect(await listedOrders(laptop.gatewayUrl)).toEqual(expect.arrayContaining(placed));
}, 300_000);

test("after kill -9 of the supervisor a new start ends what was left and loses no order", async () => {
  await using state = await newState();
  const first = await startLaptop({ state: state.path });
  const placed = await placeOrders(first.gatewayUrl, 3);
  const left = (await podsOf(first.client, "shop", "orders"))
    .concat(await podsOf(first.client, "shop", "catalog"))
    .map(podProcess);
  expect(left.length).toBeGreaterThan(0);
  await first.stop("SIGKILL");

  await using second = await startLaptop({ state: state.path });
  expect(await listedOrders(second.gatewayUrl)).toEqual(expect.arrayContaining(placed));
  await eventually(() => left.every((pid) => !existsSync(`/proc/${pid}`)), {
    ceilingMs: 30_000,
    what: "the old Pods gone",
  });
  await placeOrders(second.gatewayUrl, 1);
}, 300_000);

test("two clusters run side by side, each with its own addresses and orders", async () => {
  await using one = await startLaptop();
  await using two = await startLaptop();
  expect(one.gatewayUrl).not.toBe(two.gatewayUrl);
  const placed = await placeOrders(one.gatewayUrl, 1);
  expect(await listedOrders(one.gatewayUrl)).toEqual(placed);
  expect(await listedOrders(two.gatewayUrl)).toEqual([]);
}, 300_000);
