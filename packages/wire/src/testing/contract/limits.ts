import { describe, expect, test } from "vitest";
import { okStatus, StatusCode } from "../../status.js";
import type { Transport } from "../../transport.js";
import { callOnce, echo, endWith, openProbe, startPair } from "../fixture.js";

const fiveMiB = new Uint8Array(5 * 1024 * 1024);
const bigText = "x".repeat(20 * 1024);

/** Messages and metadata beyond the limits end their own stream RESOURCE_EXHAUSTED, and nothing else. */
export function limitsContract(transport: Transport): void {
  describe("limits", () => {
    test("a request beyond 4 MiB is refused by the server", async () => {
      const taken: number[] = [];
      await using pair = await startPair(transport, {
        "/t.S/Take": (stream) => {
          stream.read(1);
          return { message: (bytes) => void taken.push(bytes.byteLength), halfClose() {}, cancel() {} };
        },
        "/t.S/Echo": echo,
      });
      const probe = callOnce(pair.connection, "/t.S/Take", fiveMiB);
      expect((await probe.outcome).status.code).toBe(StatusCode.resourceExhausted);
      expect(taken).toEqual([]);
      expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
    });

    test("a reply beyond 4 MiB is refused by the client", async () => {
      await using pair = await startPair(transport, {
        "/t.S/Big": (stream) => {
          stream.write(fiveMiB);
          stream.end(okStatus);
          return { message() {}, halfClose() {}, cancel() {} };
        },
        "/t.S/Echo": echo,
      });
      const probe = callOnce(pair.connection, "/t.S/Big");
      expect((await probe.outcome).status.code).toBe(StatusCode.resourceExhausted);
      expect(probe.messages).toEqual([]);
      expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
    });

    test("both limits can be set", async () => {
      const options = { maxMessageBytes: 6 * 1024 * 1024 };
      await using pair = await startPair(transport, { "/t.S/Echo": echo }, { listen: options, connect: options });
      const probe = callOnce(pair.connection, "/t.S/Echo", fiveMiB);
      expect((await probe.outcome).status).toEqual(okStatus);
      expect(probe.messages[0]?.byteLength).toBe(fiveMiB.byteLength);
    });

    test("request metadata beyond the limit never reaches a handler", async () => {
      let reached = false;
      await using pair = await startPair(
        transport,
        {
          "/t.S/Take": (stream) => {
            reached = true;
            return echo(stream);
          },
        },
        { connect: { maxMetadataBytes: 64 * 1024 } },
      );
      const probe = callOnce(pair.connection, "/t.S/Take", fiveMiB.subarray(0, 1), { metadata: [["x-big", bigText]] });
      expect((await probe.outcome).status.code).toBe(StatusCode.resourceExhausted);
      expect(reached).toBe(false);
      expect((await callOnce(pair.connection, "/t.S/Nope").outcome).status.code).toBe(StatusCode.unimplemented);
    });

    test("metadata that would break the other side's limit is not sent", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const probe = callOnce(pair.connection, "/t.S/Echo", fiveMiB.subarray(0, 1), { metadata: [["x-big", bigText]] });
      expect((await probe.outcome).status.code).toBe(StatusCode.resourceExhausted);
    });

    test("a head or trailers beyond the limit end the call RESOURCE_EXHAUSTED", async () => {
      await using pair = await startPair(transport, {
        "/t.S/Head": (stream) => {
          stream.sendHead([["x-big", bigText]]);
          stream.read(1);
          return { message() {}, halfClose() {}, cancel() {} };
        },
        "/t.S/Trailers": endWith(okStatus, [["x-big", bigText]]),
      });
      const head = openProbe(pair.connection, "/t.S/Head");
      expect((await head.outcome).status.code).toBe(StatusCode.resourceExhausted);
      expect(head.heads).toEqual([]);
      const trailers = callOnce(pair.connection, "/t.S/Trailers");
      expect((await trailers.outcome).status.code).toBe(StatusCode.resourceExhausted);
    });
  });
}
