import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { okStatus } from "../../status.js";
import type { ServerStream, Transport } from "../../transport.js";
import { bytesOf, ceilingMs, echo, hanging, openProbe, startPair, textOfBytes } from "../fixture.js";

const chunk = new Uint8Array(64 * 1024);
/** More than any buffer on the way may hold: who writes on beyond it is not being held back. */
const farTooMany = 2_000;

/** Back-pressure: `read` bounds what is delivered, and a reader that stands still stops the writer at the other end. */
export function flowContract(transport: Transport): void {
  describe("back-pressure", () => {
    test("the client gets only as many messages as it asked for, and the end after the last", async () => {
      await using pair = await startPair(transport, {
        "/t.S/Five": (stream) => {
          for (let i = 0; i < 5; i++) stream.write(bytesOf(`m${i}`));
          stream.end(okStatus);
          return { message() {}, halfClose() {}, cancel() {} };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/Five", { read: 0 });
      probe.stream.end();
      let ended = false;
      const outcome = probe.outcome.then((result) => {
        ended = true;
        return result;
      });
      // A second stream on the same connection shows that everything of the first had its time to arrive.
      await openEmpty(pair.connection);
      expect(probe.messages).toHaveLength(0);
      probe.stream.read(2);
      await eventually(() => probe.messages.length === 2, { ceilingMs });
      await openEmpty(pair.connection);
      expect(probe.messages).toHaveLength(2);
      expect(ended).toBe(false);
      probe.stream.read(3);
      expect((await outcome).status).toEqual(okStatus);
      expect(probe.messages.map(textOfBytes)).toEqual(["m0", "m1", "m2", "m3", "m4"]);
    });

    test("the server gets only as many messages as it asked for, and the half-close after the last", async () => {
      const taken: (string | undefined)[] = [];
      let halfClosed = false;
      let serverStream: ServerStream | undefined;
      await using pair = await startPair(transport, {
        "/t.S/Slow": (stream) => {
          serverStream = stream;
          stream.read(1);
          return {
            message: (bytes) => void taken.push(textOfBytes(bytes)),
            halfClose: () => {
              halfClosed = true;
              stream.end(okStatus);
            },
            cancel() {},
          };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/Slow");
      for (let i = 0; i < 3; i++) probe.stream.write(bytesOf(`m${i}`));
      probe.stream.end();
      await eventually(() => taken.length === 1, { ceilingMs });
      await openEmpty(pair.connection);
      expect(taken).toEqual(["m0"]);
      expect(halfClosed).toBe(false);
      serverStream?.read(2);
      expect((await probe.outcome).status).toEqual(okStatus);
      expect(taken).toEqual(["m0", "m1", "m2"]);
    });

    test("a client that writes on is told to wait while the server does not read, and goes on when it does", async () => {
      const server = hanging(0);
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler });
      const probe = openProbe(pair.connection, "/t.S/Hang");
      let written = 0;
      while (written < farTooMany && probe.stream.write(chunk)) written += 1;
      written += 1;
      // What buffers on the way take is finite: `writable` may come a few times more, then no more.
      await eventually(
        async () => {
          const before = probe.writables;
          while (written < farTooMany && probe.writables > 0 && probe.stream.write(chunk)) written += 1;
          await openEmpty(pair.connection);
          return probe.writables === before;
        },
        { ceilingMs },
      );
      expect(written).toBeLessThan(farTooMany);
      const before = probe.writables;
      server.streams[0]?.read(Number.MAX_SAFE_INTEGER);
      await eventually(() => probe.writables > before, { ceilingMs });
      await eventually(() => server.messages.length >= written - 1, { ceilingMs });
    });

    test("a server that writes on is told to wait while the client does not read, and goes on when it does", async () => {
      let written = 0;
      let writables = 0;
      await using pair = await startPair(transport, {
        "/t.S/Flood": (stream) => {
          const pump = (): void => {
            while (written < farTooMany) {
              written += 1;
              if (!stream.write(chunk)) return;
            }
            stream.end(okStatus);
          };
          pump();
          return {
            message() {},
            halfClose() {},
            cancel() {},
            writable: () => {
              writables += 1;
              pump();
            },
          };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/Flood", { read: 0 });
      probe.stream.end();
      await eventually(
        async () => {
          const before = writables;
          await openEmpty(pair.connection);
          return written > 0 && writables === before;
        },
        { ceilingMs },
      );
      expect(written).toBeLessThan(farTooMany);
      const before = writables;
      probe.stream.read(Number.MAX_SAFE_INTEGER);
      await eventually(() => writables > before, { ceilingMs });
      expect((await probe.outcome).status).toEqual(okStatus);
      expect(probe.messages).toHaveLength(farTooMany);
    });

    test("one stream that nobody reads does not hold up the others", async () => {
      const server = hanging(0);
      await using pair = await startPair(transport, { "/t.S/Hang": server.handler, "/t.S/Echo": echo });
      const stuck = openProbe(pair.connection, "/t.S/Hang");
      for (let i = 0; i < 100; i++) stuck.stream.write(chunk);
      const probe = openProbe(pair.connection, "/t.S/Echo");
      probe.stream.write(bytesOf("still here"));
      probe.stream.end();
      expect((await probe.outcome).status).toEqual(okStatus);
      expect(probe.messages.map(textOfBytes)).toEqual(["still here"]);
    });
  });
}

/** A round trip to the server and back on another stream of the connection. */
async function openEmpty(connection: Parameters<typeof openProbe>[0]): Promise<void> {
  const probe = openProbe(connection, "/t.S/NoSuchMethod");
  probe.stream.end();
  await probe.outcome;
}
