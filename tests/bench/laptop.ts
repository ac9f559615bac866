import { readdirSync, readFileSync } from "node:fs";
import { shopClients, startLaptop } from "../e2e/laptop.js";
import { orderOf, tokenOf } from "../e2e/shopping.js";
import type { Row } from "./mesh.js";
import { median } from "./statistics.js";

/** The laptop from built to ready, what it keeps in memory, and how long orders take. */
export async function benchLaptop(): Promise<Row[]> {
  const startedMs = performance.now();
  await using laptop = await startLaptop();
  const readySeconds = (performance.now() - startedMs) / 1_000;
  const shop = shopClients(laptop.gatewayUrl);
  const productId = (await shop.catalog.listProducts({ pageSize: 1 })).products[0]?.productId ?? "";
  const paymentToken = await tokenOf(shop);
  const times: number[] = [];
  for (let placed = 0; placed < 50; placed += 1) {
    const sentMs = performance.now();
    await shop.orders.placeOrder(await orderOf(shop, { productId, paymentToken }));
    times.push(performance.now() - sentMs);
  }
  const family = descendantsAndPods(laptop.supervisor.pid ?? 0, laptop.state);
  const pssMiB = family.map(proportionalBytes).reduce((sum, bytes) => sum + bytes, 0) / 2 ** 20;
  return [
    figure("laptop-ready", readySeconds, 15, "s", "from built to every Deployment ready"),
    figure("laptop-memory", pssMiB, 1_024, "MiB", `proportional (PSS) of all ${family.length} processes`),
    figure("order-first", times[0] ?? 0, 300, "ms", "the first order through the gateway, caller's side"),
    figure("order-warm", median(times.slice(10)), 300, "ms", "the median of the orders after the tenth"),
  ];
}

/** A figure beside its bound: the ratio is the share of the bound that is used. */
function figure(work: string, value: number, bound: number, unit: string, detail: string): Row {
  return { work, ours: value, peers: { bound }, ratio: value / bound, unit, detail };
}

/** The supervisor, what it started, and what they started, by parent; and processes that name the state folder. */
function descendantsAndPods(root: number, state: string): number[] {
  const parents = new Map<number, number>();
  const named = new Set<number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
      if (readFileSync(`/proc/${name}/environ`, "utf8").includes(state)) named.add(Number(name));
    } catch {
      // Gone meanwhile.
    }
  }
  const belongs = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) {
      if (at === root || named.has(at)) return true;
    }
    return false;
  };
  return [...parents.keys()].filter(belongs);
}

function proportionalBytes(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1_024;
  } catch {
    return 0; // gone meanwhile
  }
}
