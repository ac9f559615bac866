import { createServer, type Server } from "node:http";
import { Scope, silentLogger, WatchSource } from "@weft/foundation";
import { eventually, FakeClock } from "@weft/foundation/testing";
import { kinds, type Pod } from "@weft/kube";
import { expect, test } from "vitest";
import { podObject } from "../testing/objects.js";
import { createScrape } from "./scrape.js";
import { Scraper } from "./scraper.js";
import { trimPod } from "./target.js";

const limits = { timeoutMs: 300, maxBytes: 100_000 };
const never = new AbortController().signal;
const line = (name: string, value: number) => `grpc_server_call_${name}{grpc_method="shop.v1.Shop/Buy"} ${value}\n`;

async function listen(scope: Scope, respond: (server: Server) => void): Promise<{ host: string; port: number }> {
  const server = createServer();
  respond(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  scope.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  return { host: "127.0.0.1", port: typeof address === "object" && address !== null ? address.port : 0 };
}

test("figures are read as they come, whatever the pieces", async () => {
  await using scope = new Scope();
  using scrape = createScrape(limits);
  const address = await listen(scope, (server) =>
    server.on("request", (request, response) => {
      expect(request.url).toBe("/metrics");
      for (const piece of (line("started_total", 12) + line("duration_count", 9)).match(/.{1,7}\n?/gs) ?? []) {
        response.write(piece);
      }
      response.end();
    }),
  );
  expect(await scrape(address, never)).toEqual({ started: 12, ended: 9 });
  expect(await scrape(address, never)).toEqual({ started: 12, ended: 9 });
});

test("an answer that never ends, is too long, or is none fails within its limits", async () => {
  await using scope = new Scope();
  using scrape = createScrape(limits);
  const silent = await listen(scope, (server) => server.on("request", () => {}));
  await expect(scrape(silent, never)).rejects.toThrow("no whole answer within 300 ms");
  const endless = await listen(scope, (server) =>
    server.on("request", (_, response) => {
      const more = (): void => {
        if (!response.destroyed) response.write("x".repeat(60_000), () => setImmediate(more));
      };
      more();
    }),
  );
  await expect(scrape(endless, never)).rejects.toThrow("an answer longer than 100000 bytes");
  const refusing = await listen(scope, (server) =>
    server.on("request", (_, response) => response.writeHead(503).end()),
  );
  await expect(scrape(refusing, never)).rejects.toThrow("HTTP 503");
});

/** A scraper of a clock's rounds; `counts` is what each Pod answers, `undefined` for one that does not. */
function scraperOf(pods: Readonly<Record<string, Pod>>) {
  const clock = new FakeClock();
  const objects = new WatchSource<ReadonlyMap<string, Pod>>(new Map(Object.entries(pods)));
  const asked: string[] = [];
  let started: number | undefined = 0;
  const scraper = new Scraper({
    pods: objects,
    synced: new WatchSource(true),
    scrape: async ({ host }) => {
      asked.push(host);
      if (started === undefined) throw new Error("refused");
      started += 50;
      return { started, ended: started - 3 };
    },
    clock,
    logger: silentLogger,
  });
  return {
    clock,
    objects,
    asked,
    scraper,
    refuse: () => {
      started = undefined;
    },
    [Symbol.asyncDispose]: () => scraper[Symbol.asyncDispose](),
  };
}

test("each Pod with an admin port is asked every 5 s, and has figures after the second time", async () => {
  await using world = scraperOf({
    "shop/catalog-1": podObject("catalog-1", { ip: "10.0.0.1" }),
    "shop/other": podObject("other", { ip: "10.0.0.2", port: "web" }),
    "shop/pending": podObject("pending", { ip: "10.0.0.3", phase: "Pending" }),
  });
  await world.clock.advance(4_999);
  expect(world.asked).toEqual(["10.0.0.1"]);
  expect(world.scraper.figuresIn("shop")).toEqual([]);
  expect(world.scraper.warm).toBe(false);
  await world.clock.advance(10_000);
  expect(world.asked).toEqual(["10.0.0.1", "10.0.0.1", "10.0.0.1"]);
  expect(world.scraper.figuresIn("shop")).toEqual([
    expect.objectContaining({ name: "catalog-1", callsPerSecond: 10, callsInFlight: 3, windowMs: 10_000 }),
  ]);
  expect(world.scraper.figuresIn("weft")).toEqual([]);
  expect(world.scraper.warm).toBe(true);
});

test("a Pod that is not ready, is on its way out, or has not answered for long has no figures", async () => {
  await using world = scraperOf({ "shop/a": podObject("a", { ip: "10.0.0.1" }) });
  await world.clock.advance(15_000);
  expect(world.scraper.figuresIn("shop")).toHaveLength(1);
  world.objects.set(new Map([["shop/a", podObject("a", { ip: "10.0.0.1", ready: false })]]));
  expect(world.scraper.figuresIn("shop")).toEqual([]);
  world.objects.set(new Map([["shop/a", podObject("a", { ip: "10.0.0.1", terminating: true })]]));
  expect(world.scraper.figuresIn("shop")).toEqual([]);
  world.objects.set(new Map([["shop/a", podObject("a", { ip: "10.0.0.1" })]]));
  expect(world.scraper.figuresIn("shop")).toHaveLength(1);
  world.refuse();
  await world.clock.advance(26_000);
  expect(world.scraper.figuresIn("shop")).toEqual([]);
  expect(world.scraper.describe()).toEqual({ targets: 1, failing: ["shop/a"] });
});

test("a Pod that took the name of another begins without figures", async () => {
  await using world = scraperOf({ "shop/a": podObject("a", { ip: "10.0.0.1" }) });
  await world.clock.advance(15_000);
  world.objects.set(new Map([["shop/a", podObject("a", { ip: "10.0.0.9", uid: "another" })]]));
  expect(world.scraper.figuresIn("shop")).toEqual([]);
});

test("no more than so many Pods are asked at a time, and one that hangs holds up no other", async () => {
  const clock = new FakeClock();
  const pods = Array.from({ length: 100 }, (_, n) => podObject(`p${n}`, { ip: `10.0.0.${n}` }));
  let active = 0;
  let most = 0;
  const seen = new Set<string>();
  await using _scraper = new Scraper({
    pods: new WatchSource<ReadonlyMap<string, Pod>>(new Map(pods.map((pod) => [`shop/${pod.metadata.name}`, pod]))),
    synced: new WatchSource(true),
    async scrape({ host }, signal) {
      active += 1;
      most = Math.max(most, active);
      seen.add(host);
      if (host === "10.0.0.7") {
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
      }
      await new Promise((resolve) => setImmediate(resolve));
      active -= 1;
      return { started: 0, ended: 0 };
    },
    clock,
    logger: silentLogger,
    maxConcurrent: 4,
  });
  await clock.advance(10_000);
  await eventually(() => seen.size === 100, { ceilingMs: 10_000 });
  expect(most).toBeLessThanOrEqual(4);
});

test("what is kept of a Pod is enough to find it, and still a Pod", () => {
  const pod = podObject("a", { ip: "10.0.0.1" });
  const kept = trimPod(pod);
  expect(kinds.pod.parse(kept).ok).toBe(true);
  expect(JSON.stringify(kept).length).toBeLessThan(JSON.stringify(pod).length);
  expect(kept.metadata.labels).toEqual(pod.metadata.labels);
});
