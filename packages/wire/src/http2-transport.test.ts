import { describe, expect, test } from "vitest";
import { createHttp2Transport } from "./http2-transport.js";
import { okStatus } from "./status.js";
import { runTransportContract } from "./testing/contract.js";
import { callOnce, echo, openProbe, startPair } from "./testing/fixture.js";
import type { Compression, MessageEncoder } from "./transport.js";

runTransportContract("http2", createHttp2Transport);

/** Writes so many bytes one by one, growing the buffer as it goes. */
const repeat: MessageEncoder<number> = {
  encodeInto(count, buffer) {
    const start = buffer.position;
    for (let i = 0; i < count; i += 1) {
      if (buffer.bytes.length === start + i) buffer.grow(start + i, 1);
      buffer.bytes[start + i] = i % 251;
    }
    buffer.position = start + count;
    return count;
  },
};

const broken: MessageEncoder<number> = {
  encodeInto() {
    throw new Error("cannot be written");
  },
};

describe("messages encoded in place", () => {
  const lengths = [0, 1, 100, 16_379, 16_380, 70_000, 1_000_000];

  test.each<Compression>(["identity", "gzip"])(
    "arrive as they were written, whatever their length, sent as %s",
    async (compression) => {
      await using pair = await startPair(
        createHttp2Transport(),
        { "/t.S/Echo": echo },
        { connect: { compression }, listen: { compression } },
      );
      const probe = openProbe(pair.connection, "/t.S/Echo");
      for (const length of lengths) probe.stream.writeEncoded?.(repeat, length);
      probe.stream.end();
      expect((await probe.outcome).status).toEqual(okStatus);
      expect(probe.messages.map((bytes) => bytes.length)).toEqual(lengths);
      for (const bytes of probe.messages) expect(bytes.every((byte, i) => byte === i % 251)).toBe(true);
    },
  );

  test("one that cannot be encoded throws to its writer, and nothing of it is sent", async () => {
    await using pair = await startPair(createHttp2Transport(), { "/t.S/Echo": echo });
    const probe = openProbe(pair.connection, "/t.S/Echo");
    probe.stream.writeEncoded?.(repeat, 3);
    expect(() => probe.stream.writeEncoded?.(broken, 3)).toThrow("cannot be written");
    probe.stream.writeEncoded?.(repeat, 2);
    probe.stream.end();
    expect((await probe.outcome).status).toEqual(okStatus);
    expect(probe.messages.map((bytes) => bytes.length)).toEqual([3, 2]);
    expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
  });
});
