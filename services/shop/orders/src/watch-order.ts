import { WatchSource } from "@weft/foundation";
import type { Notifications } from "@weft/store";
import type { Order } from "./domain.js";
import { isFinal } from "./order-life.js";

/**
 * An order as it is now and after each change, until nothing more can change or the signal aborts. A notification only says that it is
 * time to look: what is given always comes from the table, so none missed and none doubled can give a wrong state.
 */
export async function* watchOrder(options: {
  readonly orderId: string;
  readonly find: () => Promise<Order>;
  readonly notifications: Notifications;
  readonly signal: AbortSignal;
}): AsyncIterable<Order> {
  const { orderId, find, notifications, signal } = options;
  const wakes = new WatchSource(0);
  // Before the first look, so that no change falls between the two.
  using _subscription = notifications.subscribe(orderId, () => wakes.set(wakes.value + 1));
  let seen = 0n;
  for await (const _ of wakes.changes(signal)) {
    const order = await find();
    if (order.version > seen) yield order;
    seen = order.version;
    if (isFinal(order)) return;
  }
}
