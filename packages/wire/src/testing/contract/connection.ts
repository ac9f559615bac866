import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { okStatus, StatusCode } from "../../status.js";
import type { ConnectionState, Transport } from "../../transport.js";
import { testCertificates as pem } from "../certificates.js";
import { callOnce, ceilingMs, echo, endWith, listenOn, openProbe, startPair } from "../fixture.js";
import { freePort, startTcpProxy, startTcpServer } from "../sockets.js";

/** How connections come and go, with and without TLS. */
export function connectionContract(transport: Transport): void {
  describe("connections", () => {
    test("goes from connecting to ready to closed, and tells of each", async () => {
      await using listener = await listenOn(transport, { "/t.S/Echo": echo });
      await using connection = transport.connect({ host: "127.0.0.1", port: listener.port });
      const seen: ConnectionState["t"][] = [connection.state.value.t];
      using _subscription = connection.state.subscribe((state) => void seen.push(state.t));
      await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
      await connection.close();
      await connection.close();
      expect(seen).toEqual(["connecting", "ready", "closed"]);
      expect(connection.state.value).toEqual({ t: "closed" });
    });

    test("where nobody listens it closes with the cause", async () => {
      await using connection = transport.connect({ host: "127.0.0.1", port: await freePort() });
      const state = await connection.state.until((now) => now.t === "closed", AbortSignal.timeout(ceilingMs));
      expect(String(state.t === "closed" && state.cause)).toMatch(/ECONNREFUSED/);
    });

    test("a stream on a connection that is not ready ends UNAVAILABLE, not processed, after open has returned", async () => {
      await using listener = await listenOn(transport, { "/t.S/Echo": echo });
      const connection = transport.connect({ host: "127.0.0.1", port: listener.port });
      let ended = false;
      const probe = openProbe(connection, "/t.S/Echo");
      void probe.outcome.then(() => {
        ended = true;
      });
      expect(ended).toBe(false);
      expect(await probe.outcome).toMatchObject({ status: { code: StatusCode.unavailable }, processed: false });
      await connection.close();
      const late = openProbe(connection, "/t.S/Echo");
      expect(await late.outcome).toMatchObject({ status: { code: StatusCode.unavailable }, processed: false });
    });

    test("a peer that accepts and then says nothing is given up after the connect timeout", async () => {
      await using silent = await startTcpServer(() => {});
      await using connection = transport.connect({ host: "127.0.0.1", port: silent.port, connectTimeoutMs: 100 });
      const state = await connection.state.until((now) => now.t === "closed", AbortSignal.timeout(ceilingMs));
      expect(state.t === "closed" && state.cause).toBeInstanceOf(Error);
    });

    test("a connection that breaks ends its streams UNAVAILABLE and closes; it never comes back", async () => {
      let reached = 0;
      await using listener = await listenOn(transport, {
        "/t.S/Hang": () => {
          reached += 1;
          return { message() {}, halfClose() {}, cancel() {} };
        },
      });
      await using proxy = await startTcpProxy(listener.port);
      await using connection = transport.connect({ host: "127.0.0.1", port: proxy.port });
      await connection.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
      const probe = callOnce(connection, "/t.S/Hang");
      await eventually(() => reached === 1, { ceilingMs });
      proxy.cut();
      const outcome = await probe.outcome;
      expect(outcome.status.code).toBe(StatusCode.unavailable);
      expect(outcome.processed).toBe(true);
      const state = await connection.state.until((now) => now.t === "closed", AbortSignal.timeout(ceilingMs));
      expect(state.t === "closed" && state.cause).toBeInstanceOf(Error);
      expect((await callOnce(connection, "/t.S/Hang").outcome).processed).toBe(false);
      expect(reached).toBe(1);
      expect(proxy.accepted).toBe(1);
    });

    test("two connections to one address are two", async () => {
      await using pair = await startPair(transport, {
        "/t.S/Peer": (stream) => endWith(okStatus, [["x-peer", stream.peer]])(stream),
      });
      await using second = transport.connect({ host: "127.0.0.1", port: pair.listener.port });
      await second.state.until((state) => state.t === "ready", AbortSignal.timeout(ceilingMs));
      const peers = await Promise.all(
        [pair.connection, second].map(async (connection) => (await callOnce(connection, "/t.S/Peer").outcome).trailers),
      );
      expect(peers[0]).not.toEqual(peers[1]);
      expect(peers[0]?.[0]?.[1]).toMatch(/^127\.0\.0\.1:\d+$/);
    });

    test("an address that is taken is refused with the system's error", async () => {
      await using listener = await listenOn(transport, {});
      await expect(
        transport.listen({ host: "127.0.0.1", port: listener.port, methods: new Map() }),
      ).rejects.toMatchObject({ code: "EADDRINUSE" });
    });

    tlsContract(transport);
  });
}

function tlsContract(transport: Transport): void {
  const server = { certificate: pem.serverCertificate, privateKey: pem.serverKey };
  const client = { roots: pem.root, serverName: "server.test" };

  test("calls go over TLS when both ends have it", async () => {
    await using pair = await startPair(
      transport,
      { "/t.S/Echo": echo },
      { listen: { tls: server }, connect: { tls: client } },
    );
    expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
  });

  test("a server whose certificate names another is not trusted", async () => {
    await using pair = await startPair(
      transport,
      { "/t.S/Echo": echo },
      { listen: { tls: server }, connect: { tls: { ...client, serverName: "other.test" } } },
    );
    expect(pair.connection.state.value.t).toBe("closed");
  });

  test("a server whose certificate no known root signed is not trusted", async () => {
    await using pair = await startPair(
      transport,
      { "/t.S/Echo": echo },
      { listen: { tls: server }, connect: { tls: { serverName: "server.test" } } },
    );
    expect(pair.connection.state.value.t).toBe("closed");
  });

  test("a server that asks for certificates serves clients that have one, and no other", async () => {
    const listen = { tls: { ...server, clientRoots: pem.root } };
    const own = { certificate: pem.clientCertificate, privateKey: pem.clientKey };
    await using known = await startPair(
      transport,
      { "/t.S/Echo": echo },
      { listen, connect: { tls: { ...client, ...own } } },
    );
    expect((await callOnce(known.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
    await using stranger = transport.connect({ host: "127.0.0.1", port: known.listener.port, tls: client });
    await stranger.state.until((state) => state.t !== "connecting", AbortSignal.timeout(ceilingMs));
    expect((await callOnce(stranger, "/t.S/Echo").outcome).status.code).toBe(StatusCode.unavailable);
  });

  test("plaintext is not spoken with a server that has TLS", async () => {
    await using listener = await listenOn(transport, { "/t.S/Echo": echo }, { tls: server });
    await using plain = transport.connect({ host: "127.0.0.1", port: listener.port, connectTimeoutMs: 1_000 });
    const state = await plain.state.until((now) => now.t !== "connecting", AbortSignal.timeout(ceilingMs));
    expect(state.t).toBe("closed");
  });
}
