import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { okStatus, StatusCode } from "../../status.js";
import type { Transport } from "../../transport.js";
import { bytesOf, callOnce, ceilingMs, echo, hanging, openProbe, startPair } from "../fixture.js";

/** Planned stops: nothing in flight is lost within the time given, and what was never served says so. */
export function drainContract(transport: Transport): void {
  describe("draining", () => {
    test("calls in flight end well, later ones are told that nobody served them", async () => {
      const server = hanging();
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler, "/t.S/Echo": echo });
      const inFlight = openProbe(pair.connection, "/t.S/Hang");
      inFlight.stream.write(bytesOf("x"));
      await eventually(() => server.messages.length === 1, { ceilingMs });
      const drained = pair.listener.drain(ceilingMs);
      await pair.connection.state.until((state) => state.t === "draining", AbortSignal.timeout(ceilingMs));

      const late = callOnce(pair.connection, "/t.S/Echo");
      expect(await late.outcome).toMatchObject({ status: { code: StatusCode.unavailable }, processed: false });

      server.streams[0]?.write(bytesOf("reply"));
      server.streams[0]?.end(okStatus);
      expect((await inFlight.outcome).status).toEqual(okStatus);
      await drained;
      await pair.connection.state.until((state) => state.t === "closed", AbortSignal.timeout(ceilingMs));
      expect(pair.listener.openStreams).toBe(0);
    });

    test("of calls that race with the drain, each either is answered or was provably not served", async () => {
      let served = 0;
      await using pair = await startPair(transport, {
        "/t.S/Count": (stream) => {
          served += 1;
          return echo(stream);
        },
      });
      const probes = Array.from({ length: 50 }, () => callOnce(pair.connection, "/t.S/Count"));
      const drained = pair.listener.drain(ceilingMs);
      const more: typeof probes = [];
      for (let round = 0; round < 20; round++) {
        await new Promise((resolve) => setImmediate(resolve));
        more.push(callOnce(pair.connection, "/t.S/Count"));
      }
      const outcomes = await Promise.all([...probes, ...more].map((probe) => probe.outcome));
      await drained;
      const answered = outcomes.filter((outcome) => outcome.status.code === StatusCode.ok);
      for (const outcome of outcomes) {
        if (outcome.status.code === StatusCode.ok) expect(outcome.processed).toBe(true);
        else expect(outcome).toMatchObject({ status: { code: StatusCode.unavailable }, processed: false });
      }
      expect(answered).toHaveLength(served);
    });

    test("streams beyond the server's limit wait their turn or are refused; a drain finds those not processed", async () => {
      const server = hanging();
      await using pair = await startPair(
        transport,
        { "/t.S/Hang": server.handler },
        { listen: { maxConcurrentStreams: 5 } },
      );
      const probes = Array.from({ length: 12 }, () => callOnce(pair.connection, "/t.S/Hang"));
      await eventually(() => server.messages.length === 5, { ceilingMs });
      const drained = pair.listener.drain(ceilingMs);
      await pair.connection.state.until((state) => state.t === "draining", AbortSignal.timeout(ceilingMs));
      for (const stream of server.streams) stream.end(okStatus);
      const outcomes = await Promise.all(probes.map((probe) => probe.outcome));
      await drained;
      expect(outcomes.filter((outcome) => outcome.status.code === StatusCode.ok)).toHaveLength(5);
      expect(outcomes.filter((outcome) => !outcome.processed)).toHaveLength(7);
      expect(server.streams).toHaveLength(5);
    });

    test("what is left when the time is over ends UNAVAILABLE, and its handler is told", async () => {
      const server = hanging();
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler });
      const probe = openProbe(pair.connection, "/t.S/Hang");
      probe.stream.write(bytesOf("x"));
      await eventually(() => server.messages.length === 1, { ceilingMs });
      await pair.listener.drain(50);
      expect(await probe.outcome).toMatchObject({ status: { code: StatusCode.unavailable }, processed: true });
      expect(server.cancels.map((status) => status.code)).toEqual([StatusCode.unavailable]);
      await pair.connection.state.until((state) => state.t === "closed", AbortSignal.timeout(ceilingMs));
    });

    test("a second, shorter drain hastens the first", async () => {
      const server = hanging();
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler });
      const probe = callOnce(pair.connection, "/t.S/Hang");
      await eventually(() => server.messages.length === 1, { ceilingMs });
      const first = pair.listener.drain(10 * ceilingMs);
      await pair.listener.drain(0);
      await first;
      expect((await probe.outcome).status.code).toBe(StatusCode.unavailable);
    });

    test("a server that drains takes no new connection, and its port is free again", async () => {
      const pair = await startPair(transport, { "/t.S/Echo": echo });
      const { port } = pair.listener;
      await pair[Symbol.asyncDispose]();
      const refused = transport.connect({ host: "127.0.0.1", port });
      await refused.state.until((state) => state.t === "closed", AbortSignal.timeout(ceilingMs));
      await using again = await transport.listen({ host: "127.0.0.1", port, methods: new Map() });
      expect(again.port).toBe(port);
    });

    test("a client that closes gracefully lets its streams end, and takes no new one", async () => {
      const server = hanging();
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler });
      const probe = callOnce(pair.connection, "/t.S/Hang");
      await eventually(() => server.messages.length === 1, { ceilingMs });
      const closed = pair.connection.close(ceilingMs);
      expect(pair.connection.state.value.t).toBe("draining");
      const late = callOnce(pair.connection, "/t.S/Hang");
      expect(await late.outcome).toMatchObject({ status: { code: StatusCode.unavailable }, processed: false });
      server.streams[0]?.end(okStatus);
      expect((await probe.outcome).status).toEqual(okStatus);
      await closed;
      expect(pair.connection.state.value).toEqual({ t: "closed" });
    });

    test("a client that has waited long enough ends what is left UNAVAILABLE", async () => {
      const server = hanging();
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler });
      const probe = callOnce(pair.connection, "/t.S/Hang");
      await eventually(() => server.messages.length === 1, { ceilingMs });
      await pair.connection.close(50);
      expect((await probe.outcome).status.code).toBe(StatusCode.unavailable);
      await eventually(() => server.cancels.length === 1, { ceilingMs });
    });

    test("a connection that is old enough is ended gracefully by its server", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo }, { listen: { maxConnectionAgeMs: 100 } });
      expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
      await pair.connection.state.until((state) => state.t === "closed", AbortSignal.timeout(ceilingMs));
    });
  });
}
