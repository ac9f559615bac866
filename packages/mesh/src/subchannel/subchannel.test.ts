import { FakeClock } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { ScriptedTransport } from "../testing/scripted-transport.js";
import { SubchannelPool } from "./pool.js";

const address = { host: "10.0.0.1", port: 8080, pinged: true };
const ignoring = { head() {}, message() {}, end() {} };

function start() {
  const transport = new ScriptedTransport();
  const clock = new FakeClock();
  const pool = new SubchannelPool({ transport, clock, random: () => 0.5 });
  const lease = pool.lease(address, 5_000);
  return { transport, clock, pool, lease, subchannel: lease.subchannel };
}

test("attempts to connect grow apart, and the state says why the last one failed", async () => {
  const { transport, clock, subchannel } = start();
  subchannel.connect();
  expect(subchannel.candidate).toEqual({ t: "connecting" });
  const waits = [200, 320, 512];
  for (const [failures, waitMs] of waits.entries()) {
    transport.connections[failures]?.lose("connection refused");
    expect(subchannel.candidate).toEqual({ t: "failed", message: "connection refused" });
    await clock.advance(waitMs - 1);
    expect(transport.connections).toHaveLength(failures + 1);
    await clock.advance(1);
    expect(transport.connections).toHaveLength(failures + 2);
    expect(subchannel.candidate.t).toBe("failed");
  }
  transport.connections[3]?.up();
  expect(subchannel.candidate).toEqual({ t: "ready" });
});

test("GOAWAY brings a new connection at once, and what the old one carries is left in peace", async () => {
  const { transport, clock, subchannel } = start();
  subchannel.connect();
  transport.connections[0]?.up();
  subchannel.open({ path: "/s/M", metadata: [] }, ignoring);
  await clock.advance(2_000);
  transport.connections[0]?.goAway();
  expect(transport.connections).toHaveLength(2);
  expect(subchannel.candidate).toEqual({ t: "connecting" });
  expect(subchannel.inFlight).toBe(1);
  transport.connections[1]?.up();
  subchannel.open({ path: "/s/M", metadata: [] }, ignoring);
  expect(transport.connections.map(({ streams }) => streams.length)).toEqual([1, 1]);
  expect(transport.connections[0]?.closes).toEqual([]);
  transport.streams[0]?.answer();
  expect(subchannel.inFlight).toBe(1);
});

test("a peer that takes connections only to drop them is not hammered", async () => {
  const { transport, clock, subchannel } = start();
  subchannel.connect();
  transport.connections[0]?.up();
  transport.connections[0]?.lose("reset");
  expect(transport.connections).toHaveLength(1);
  await clock.advance(200);
  expect(transport.connections).toHaveLength(2);
});

test("clusters that name one endpoint share its connection; the last one out drains it", async () => {
  const { transport, pool, lease } = start();
  const second = pool.lease(address, 5_000);
  expect(second.subchannel).toBe(lease.subchannel);
  second.subchannel.connect();
  transport.connections[0]?.up();
  lease[Symbol.dispose]();
  lease[Symbol.dispose]();
  expect(transport.connections[0]?.closes).toEqual([]);
  second[Symbol.dispose]();
  expect(transport.connections[0]?.closes).toEqual([600_000]);
  expect(pool.size.open).toBe(0);
  await pool[Symbol.asyncDispose]();
  expect(pool.size.draining).toBe(0);
});

test("closing leaves no timer, and nothing reconnects", async () => {
  const { transport, clock, pool, subchannel } = start();
  subchannel.connect();
  transport.connections[0]?.lose();
  expect(clock.pendingTimers).toBe(1);
  await pool[Symbol.asyncDispose]();
  expect(clock.pendingTimers).toBe(0);
  await clock.advance(60_000);
  subchannel.connect();
  expect(transport.connections).toHaveLength(1);
});

test("news that the endpoint is there ends the wait for the next attempt", async () => {
  const { transport, clock, subchannel } = start();
  subchannel.connect();
  transport.connections[0]?.lose();
  subchannel.connectNow();
  expect(transport.connections).toHaveLength(2);
  expect(clock.pendingTimers).toBe(0);
});
