import { silentLogger } from "@weft/foundation";
import { FakeClock } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { SubchannelPool } from "../subchannel/pool.js";
import { parseTarget } from "../target.js";
import { ScriptedTransport } from "../testing/scripted-transport.js";
import { DnsCluster } from "./dns-cluster.js";

function start(text: string, first: readonly string[] | Error) {
  const target = parseTarget(text, "shop");
  if (!target.ok || target.value.t !== "dns") throw new Error("no target");
  const transport = new ScriptedTransport({ autoUp: true });
  const clock = new FakeClock();
  const pool = new SubchannelPool({ transport, clock, random: () => 0.5 });
  const answers = { now: first, lookups: 0 };
  const cluster = new DnsCluster({
    name: text,
    target: target.value,
    lookup: async () => {
      answers.lookups += 1;
      if (answers.now instanceof Error) throw answers.now;
      return answers.now;
    },
    pool,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    onChange: () => {},
  });
  return { cluster, clock, transport, answers };
}

test("what is outside the mesh is reached over TLS that expects the name, with the roots of the system", async () => {
  const { cluster, clock, transport } = start("dns:///api.example.com:443", ["192.0.2.1"]);
  expect(cluster.view.t).toBe("pending");
  await clock.advance(0);
  expect(cluster.view.t).toBe("ready");
  expect(transport.connections[0]?.options).toMatchObject({
    host: "192.0.2.1",
    port: 443,
    tls: { serverName: "api.example.com" },
  });
  cluster[Symbol.dispose]();
});

test("addresses that are gone are left, and a lookup that fails takes nothing away", async () => {
  const { cluster, clock, transport, answers } = start("dns:///api.example.com:443", ["192.0.2.1", "192.0.2.2"]);
  await clock.advance(0);
  expect(cluster.endpoints().map(({ address }) => address)).toEqual(["192.0.2.1:443", "192.0.2.2:443"]);
  answers.now = new Error("no answer");
  await clock.advance(30_000);
  expect(cluster.view.t).toBe("ready");
  answers.now = ["192.0.2.2"];
  await clock.advance(30_000);
  expect(cluster.endpoints().map(({ address }) => address)).toEqual(["192.0.2.2:443"]);
  expect(transport.connections[0]?.closes).toHaveLength(1);
  cluster[Symbol.dispose]();
  await clock.advance(0);
  expect(clock.pendingTimers).toBe(0);
});

test("a name that cannot be looked up fails calls with the reason, and is tried again soon", async () => {
  const { cluster, clock, answers } = start("dns:///nowhere.example.com:443", new Error("ENOTFOUND"));
  await clock.advance(1_000);
  expect(cluster.view).toEqual({ t: "failed", message: expect.stringContaining("ENOTFOUND") });
  await clock.advance(4_000);
  expect(answers.lookups).toBeGreaterThanOrEqual(3);
  cluster[Symbol.dispose]();
});

test("an address that a name gives twice counts once, and is left when it is gone", async () => {
  const { cluster, clock, transport, answers } = start("dns:///api.example.com:443", ["192.0.2.1", "192.0.2.1"]);
  await clock.advance(0);
  answers.now = ["192.0.2.2"];
  await clock.advance(30_000);
  expect(transport.connections.map(({ closes }) => closes.length)).toEqual([1, 0]);
  cluster[Symbol.dispose]();
});
