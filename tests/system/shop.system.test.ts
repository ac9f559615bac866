import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { OutOfStockDetailSchema } from "@weft/contracts/shop/inventory/v1";
import { type Order, OrderRefusedDetailSchema, OrderState } from "@weft/contracts/shop/orders/v1";
import { PaymentService } from "@weft/contracts/shop/payments/v1";
import { eventually } from "@weft/foundation/testing";
import { kinds } from "@weft/kube";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Laptop, shopClients, startLaptop } from "../e2e/laptop.js";
import { deploymentReady, podsOf } from "../e2e/pods.js";
import { podProcess } from "../e2e/processes.js";
import { orderOf, tokenOf } from "../e2e/shopping.js";

let laptop: Laptop;
let shop: ReturnType<typeof shopClients>;
let paymentToken: string;

beforeAll(async () => {
  laptop = await startLaptop();
  shop = shopClients(laptop.gatewayUrl);
  paymentToken = await tokenOf(shop);
}, 180_000);

afterAll(async () => {
  await laptop?.[Symbol.asyncDispose]();
}, 60_000);

/** How an order ended, and what its caller saw on the way. */
interface End {
  readonly order: Order | undefined;
  readonly refusal: ConnectError | undefined;
  /** Errors after which the same request was sent again. */
  readonly met: readonly Code[];
}

/** What a caller may send the same request again after. */
const retryable: readonly Code[] = [Code.Unavailable, Code.DeadlineExceeded, Code.Aborted];

/** Places an order as a patient caller does: the same request again after what may pass, until it has ended. */
async function orderUntilEnded(productId: string): Promise<End> {
  const request = await orderOf(shop, { productId, paymentToken });
  const met: Code[] = [];
  for (const giveUpMs = performance.now() + 120_000; performance.now() < giveUpMs; ) {
    try {
      const { order } = await shop.orders.placeOrder(request, { timeoutMs: 15_000 });
      if (order?.state !== OrderState.PLACED) return { order, refusal: undefined, met };
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      if (error.findDetails(OrderRefusedDetailSchema).length > 0) return { order: undefined, refusal: error, met };
      if (!retryable.includes(error.code)) throw error;
      met.push(error.code);
    }
    await new Promise((resolve) => setTimeout(resolve, 200)); // a caller's pause between tries
  }
  throw new Error(`an order has not ended after ${met.length} errors`);
}

/** Many orders, some at the same time; `during` is called once when a fifth of them have ended. */
async function manyOrders(
  count: number,
  atOnce: number,
  productId: string,
  during: () => Promise<void>,
): Promise<End[]> {
  const ends: End[] = [];
  let begun = 0;
  let disturbed: Promise<void> | undefined;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (begun < count) {
        begun += 1;
        ends.push(await orderUntilEnded(productId));
        if (ends.length >= count / 5) disturbed ??= during();
      }
    }),
  );
  await disturbed;
  return ends;
}

async function allOrders(): Promise<Order[]> {
  const orders: Order[] = [];
  for (let pageToken = ""; ; ) {
    const page = await shop.orders.listOrders({ pageSize: 100, pageToken });
    orders.push(...page.orders);
    if (page.nextPageToken === "") return orders;
    pageToken = page.nextPageToken;
  }
}

/** What orders say was paid and not given back. */
function paidOf(orders: readonly Order[]): bigint {
  return orders.reduce((sum, order) => {
    if (order.paymentId === "") return sum;
    return sum + (order.totalPrice?.minorUnits ?? 0n) - (order.refundedPrice?.minorUnits ?? 0n);
  }, 0n);
}

/** What the ledger of payments says was taken, what is held without being taken, and what was given back. */
async function ledger(): Promise<{ readonly charged: bigint; readonly held: bigint }> {
  const [pod] = await podsOf(laptop.client, "shop", "payments");
  const payments = createClient(PaymentService, createGrpcTransport({ baseUrl: `http://${pod?.status?.podIP}:8080` }));
  const { totals } = await payments.getLedgerTotals({});
  const euros = totals.find((one) => one.currency === "EUR");
  const captured = euros?.capturedMinorUnits ?? 0n;
  return {
    charged: captured - (euros?.refundedMinorUnits ?? 0n),
    held: (euros?.authorizedMinorUnits ?? 0n) - (euros?.releasedMinorUnits ?? 0n) - captured,
  };
}

async function ordersDatabase(): Promise<pg.Client> {
  const secret = await laptop.client.get(kinds.secret, { namespace: "shop", name: "orders-database" });
  const url = Buffer.from(secret.data?.["url"] ?? "", "base64").toString();
  const [pod] = await podsOf(laptop.client, "shop", "postgres");
  const client = new pg.Client({ connectionString: url.replace(/@[^:/]+/, `@${pod?.status?.podIP}`) });
  client.on("error", () => {
    // It is ended by the test.
  });
  await client.connect();
  return client;
}

/** Waits until no saga is under way, then holds money, stock and sagas against each other. */
async function expectConsistent(
  productId: string,
  sold: number,
  before: { readonly available: number },
): Promise<void> {
  const client = await ordersDatabase();
  try {
    await eventually(
      async () => {
        const open = await client.query("SELECT saga_id FROM weft_sagas WHERE ended_at IS NULL");
        return open.rowCount === 0;
      },
      { ceilingMs: 120_000, what: "every saga ended" },
    );
    const parked = await client.query("SELECT saga_id FROM weft_sagas WHERE state = 'parked'");
    expect(parked.rows).toEqual([]);
  } finally {
    await client.end();
  }
  const orders = await allOrders();
  expect(orders.filter((order) => order.state === OrderState.PLACED || order.state === OrderState.CANCELLING)).toEqual(
    [],
  );
  expect(await ledger()).toEqual({ charged: paidOf(orders), held: 0n });
  const [stock] = (await shop.inventory.getStock({ productIds: [productId] })).stocks;
  expect(stock).toMatchObject({ available: before.available - sold, held: 0 });
}

async function stockOf(productId: string): Promise<{ readonly available: number }> {
  return (await shop.inventory.getStock({ productIds: [productId] })).stocks[0] ?? { available: 0 };
}

test("fifty orders at once for ten things: ten are confirmed, forty refused, nothing stays reserved", async () => {
  const productId = "spice-saffron"; // seeded with a dozen
  const { available } = await stockOf(productId);
  await shop.orders.placeOrder(await orderOf(shop, { productId, quantity: available - 10, paymentToken }));
  const ends = await Promise.all(Array.from({ length: 50 }, () => orderUntilEnded(productId)));
  expect(ends.filter(({ order }) => order?.state === OrderState.CONFIRMED)).toHaveLength(10);
  const refused = ends.flatMap(({ refusal }) => refusal ?? []);
  expect(refused).toHaveLength(40);
  for (const error of refused) {
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.findDetails(OutOfStockDetailSchema)[0]?.shortages).toMatchObject([{ productId, requested: 1 }]);
  }
  await expectConsistent(productId, 10, { available: 10 });
}, 180_000);

test("every orders container killed in the middle of fifty orders: all end rightly, each once, and money is paid orders", async () => {
  const productId = "tea-assam";
  const before = await stockOf(productId);
  const ordersBefore = (await allOrders()).length;
  const ends = await manyOrders(50, 25, productId, async () => {
    const pods = await podsOf(laptop.client, "shop", "orders");
    expect(pods.length).toBeGreaterThan(1);
    for (const pod of pods) process.kill(podProcess(pod), "SIGKILL");
  });
  const restarts = (await podsOf(laptop.client, "shop", "orders")).map(
    (pod) => pod.status?.containerStatuses?.[0]?.restartCount,
  );
  expect(restarts).toEqual([1, 1]);
  expect(ends.map(({ order }) => order?.state)).toEqual(Array(50).fill(OrderState.CONFIRMED));
  expect((await allOrders()).length - ordersBefore).toBe(50);
  await expectConsistent(productId, 50, before);
}, 300_000);

const disturbances: readonly (readonly [what: string, disturb: () => Promise<void>])[] = [
  [
    "restarted",
    async () => {
      const restart = await laptop.kubectl(["rollout", "restart", "-n", "shop", "deploy/postgres"]);
      expect(restart).toMatchObject({ code: 0 });
    },
  ],
  ["killed", async () => void process.kill(await postmaster(), "SIGKILL")],
];

test.each(disturbances)(
  "Postgres %s in the middle of 200 orders: all end rightly, and callers see errors after which they may try again",
  async (_, disturb) => {
    const productId = "coffee-harbour";
    const before = await stockOf(productId);
    const ordersBefore = (await allOrders()).length;
    const startedBefore = await databaseStart();
    const ends = await manyOrders(200, 25, productId, disturb);
    expect(ends.map(({ order }) => order?.state)).toEqual(Array(200).fill(OrderState.CONFIRMED));
    const met = ends.flatMap((end) => end.met);
    expect(met).not.toEqual([]);
    expect(met.filter((code) => !retryable.includes(code))).toEqual([]);
    expect((await allOrders()).length - ordersBefore).toBe(200);
    await deploymentReady(laptop.client, "shop", "postgres");
    expect(await databaseStart()).toBeGreaterThan(startedBefore);
    await expectConsistent(productId, 200, before);
  },
  400_000,
);

async function databaseStart(): Promise<number> {
  const client = await ordersDatabase();
  try {
    const { rows } = await client.query("SELECT extract(epoch FROM pg_postmaster_start_time())::float8 AS at");
    return Number(rows[0].at);
  } finally {
    await client.end();
  }
}

/** The database server's main process: the parent of whoever serves a session. */
async function postmaster(): Promise<number> {
  const client = await ordersDatabase();
  try {
    const { rows } = await client.query("SELECT pg_backend_pid() AS pid");
    const stat = readFileSync(`/proc/${rows[0].pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } finally {
    await client.end();
  }
}

test("an order by a card whose bank answers late is pending until then, and charged once", async () => {
  const productId = "tea-oolong";
  const before = await stockOf(productId);
  const request = await orderOf(shop, {
    productId,
    paymentToken: await tokenOf(shop, "late"),
    idempotencyKey: randomUUID(),
  });
  const pending = await shop.orders.placeOrder(request, { timeoutMs: 2_000 });
  expect(pending.order?.state).toBe(OrderState.PLACED);
  let last: Order | undefined;
  for await (const { order } of shop.orders.watchOrder({ orderId: pending.order?.orderId ?? "" })) {
    last = order;
    if (order?.state !== OrderState.PLACED) break;
  }
  expect(last?.state).toBe(OrderState.CONFIRMED);
  await expectConsistent(productId, 1, before);
}, 120_000);
