import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { OrderState } from "@weft/contracts/shop/orders/v1";
import { eventually } from "@weft/foundation/testing";
import { isRecord, kinds } from "@weft/kube";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Laptop, shopClients, startLaptop } from "../e2e/laptop.js";
import { deploymentReady } from "../e2e/pods.js";
import { orderOf } from "../e2e/shopping.js";

let laptop: Laptop;

beforeAll(async () => {
  laptop = await startLaptop();
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

test("people shop for 20 seconds, orders are confirmed, and nothing unexpected is seen", async () => {
  const file = join(laptop.state, "load.json");
  const args = ["--rate", "12", "--users", "20", "--minutes", "0.34", "--seed", "4", "--json", file];
  const { code, stdout, stderr } = await laptop.weft("load", ...args);
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^00:\d\d {2}\d+\.\d calls\/s of 12 {2}p50 /m);
  expect(stdout).toContain("\nno unexpected errors\n");
  expect(code, stdout).toBe(0);
  const found = fromSummary(JSON.parse(await readFile(file, "utf8")));
  expect(found.methods).toEqual(
    expect.arrayContaining(["CartService/AddItem", "CatalogService/SearchProducts", "OrderService/WatchOrder"]),
  );
  expect(found.confirmed).toBeGreaterThan(0);
  for (const text of [stdout, await readFile(file, "utf8")]) {
    expect(text).not.toMatch(/\d{12}/);
    expect(text).not.toContain("card_");
  }
}, 120_000);

test("an operator sees the sagas of those orders, and none can be acted on once it is over", async () => {
  const list = await laptop.weft("sagas", "list", "--only", "completed", "--limit", "3");
  expect(list).toMatchObject({ code: 0, stderr: "" });
  const [header, first = ""] = list.stdout.split("\n");
  expect(header).toMatch(/^SAGA +DEFINITION +STATE +AGE +STEP +GOES ON +REASON$/);
  const [id = ""] = first.split(/\s+/);
  expect(first).toMatch(/ v\d+ +completed +\d+s /);

  const show = await laptop.weft("sagas", "show", id);
  expect(show).toMatchObject({ code: 0, stderr: "" });
  expect(show.stdout).toMatch(/^state +completed$/m);
  expect(show.stdout).toMatch(/^trace +[0-9a-f]{32}$/m);
  expect(show.stdout).toMatch(/^STEP +STATE +FAILED +DECIDED +RESULT$/m);
  expect(show.stdout).toContain("no operator has touched it");

  const retry = await laptop.weft("sagas", "retry", id, "--reason", "to see that it is refused");
  expect(retry).toMatchObject({ code: 1, stdout: "" });
  expect(retry.stderr).toMatch(/^weft: orders refused: .+\n$/);
  expect(await laptop.weft("sagas", "show", "nobody")).toMatchObject({
    code: 1,
    stderr: 'weft: orders has no saga "nobody"\n',
  });
  expect((await laptop.weft("sagas", "list", "--service", "cart")).stderr).toBe(
    "weft: cart keeps no sagas: it does not serve weft.saga.v1.SagaAdminService\n",
  );
  expect((await laptop.weft("status")).stdout).not.toContain("sagas of");
}, 60_000);

test("an operator sends an order on that waits for shipping, then turns it back, and both acts stand in its history", async () => {
  const shop = shopClients(laptop.gatewayUrl);
  const request = await orderOf(shop, { productId: "tea-assam" });
  const scaleShipping = async (replicas: number): Promise<void> => {
    const body = { spec: { replicas } };
    await laptop.client.patch(kinds.deployment, { namespace: "shop", name: "shipping" }, { t: "merge", body });
    await deploymentReady(laptop.client, "shop", "shipping");
  };
  await scaleShipping(0);
  // However this call ends: the order is recorded, and stays on its way.
  await shop.orders.placeOrder(request, { timeoutMs: 3_000 }).catch(() => undefined);
  const { orders } = await shop.orders.listOrders({ pageSize: 1 });
  const id = orders[0]?.orderId ?? "";
  const atQuote = new RegExp(`^${id} +place-order v1 +running +\\d+s +quote `, "m");
  await eventually(async () => atQuote.test((await laptop.weft("sagas", "list", "--only", "running")).stdout), {
    ceilingMs: 60_000,
    everyMs: 200,
    what: "the order's saga at its quote",
  });

  // Between two attempts it waits; an act in the middle of one is refused.
  const act = async (name: string, reason: string): Promise<string> =>
    await eventually(
      async () => {
        const { code, stdout } = await laptop.weft("sagas", name, id, "--reason", reason);
        return code === 0 && stdout;
      },
      { ceilingMs: 60_000, everyMs: 100, what: `weft sagas ${name}` },
    );
  expect(await act("retry", "shipping is said to be back")).toContain(`weft: goes on now: ${id} is running at quote`);
  // Whoever carries it out hears of it a moment later.
  expect(await act("compensate", "the customer called")).toContain(`weft: turns back: ${id} is `);
  const show = await eventually(
    async () => {
      const { stdout } = await laptop.weft("sagas", "show", id);
      return /^state +compensated$/m.test(stdout) && stdout;
    },
    { ceilingMs: 60_000, everyMs: 200, what: "the saga has turned back" },
  );
  const operator = userInfo().username;
  expect(show).toMatch(new RegExp(`^\\S+Z +${operator} +retry +shipping is said to be back$`, "m"));
  expect(show).toMatch(new RegExp(`^\\S+Z +${operator} +compensate +the customer called$`, "m"));
  expect((await shop.orders.getOrder({ orderId: id })).order?.state).toBe(OrderState.CANCELLED);
  await scaleShipping(1);
}, 240_000);

function fromSummary(summary: unknown): { readonly methods: readonly string[]; readonly confirmed: number } {
  const { methods, orders } = summary as { readonly methods: object; readonly orders: unknown };
  return {
    methods: Object.keys(methods),
    confirmed: isRecord(orders) ? Number(orders["confirmed"] ?? 0) : 0,
  };
}
