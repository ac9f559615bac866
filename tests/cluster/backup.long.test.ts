import { Code } from "@connectrpc/connect";
import { eventually } from "@weft/foundation/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readBlocks } from "../docs/blocks.js";
import type { CommandResult } from "../e2e/laptop.js";
import { type DocumentShell, documentShell } from "./document-shell.js";
import { kubeconfig, needsCluster } from "./environment.js";
import { type ShopCluster, shopCluster } from "./shop-cluster.js";

/** The commands of docs/operations.md: the first block backs every database up, the second brings one back. */
const [backUp, restore] = readBlocks(["docs/operations.md"]).filter(({ language }) => language === "sh backup");

describe.skipIf(kubeconfig === undefined)(`backing up and restoring by the operations guide ${needsCluster}`, () => {
  let cluster: ShopCluster;
  let shell: DocumentShell;

  beforeAll(async () => {
    cluster = await shopCluster();
    shell = documentShell();
  }, 900_000);

  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    shell?.[Symbol.dispose]();
  });

  const typed = async (lines: string | undefined): Promise<CommandResult> => {
    const result = await shell.run(lines ?? "exit 1", { cwd: shell.folder });
    expect(result.code, `${result.stdout}${result.stderr}`).toBe(0);
    return result;
  };
  /** Of a connection of its own: a forward to a gateway ends with its Pod. */
  const orderOf = async (orderId: string) => {
    const { order } = await (await cluster.shop()).orders.getOrder({ orderId });
    return { orderId: order?.orderId, lines: order?.lines, totalPrice: order?.totalPrice };
  };

  test("an order whose database lost it is there again", async () => {
    const { orderId } = await cluster.placeOrder();
    const placed = await orderOf(orderId);
    await typed(backUp?.text);
    expect((await typed("wc -c < orders.dump; grep -c data-key secrets.yaml")).stdout).toMatch(/^[1-9]\d{3,}\n6\n$/);

    const inDatabase = "PGPASSWORD=$POSTGRES_PASSWORD psql --host=127.0.0.1 --username=postgres --dbname=orders";
    await typed(
      `kubectl exec -n shop postgres-0 -- sh -c '${inDatabase} --command "TRUNCATE orders, weft_sagas CASCADE"'`,
    );
    await expect(orderOf(orderId)).rejects.toMatchObject({ code: Code.NotFound });

    await typed(restore?.text);
    await eventually(() => orderOf(orderId), { ceilingMs: 30_000, everyMs: 500, what: "an answer of orders" });
    expect(await orderOf(orderId)).toEqual(placed);
    // And it takes new ones.
    await eventually(() => cluster.placeOrder(), { ceilingMs: 60_000, everyMs: 1_000, what: "a new order" });
  }, 600_000);
});
