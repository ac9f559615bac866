import type { Transaction } from "@weft/store";
import type { Order } from "../domain.js";
import type { OrderStore } from "../store.js";

/** The order of a saga, locked. There is one: they were recorded together. */
export async function locked(store: OrderStore, tx: Transaction, orderId: string): Promise<Order> {
  const order = await store.lock(tx, orderId);
  if (order === undefined) throw new Error(`order ${orderId} of a saga does not exist`);
  return order;
}
