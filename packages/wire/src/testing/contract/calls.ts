import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import type { Metadata } from "../../metadata.js";
import { okStatus, StatusCode } from "../../status.js";
import type { Transport } from "../../transport.js";
import { bytesOf, callOnce, ceilingMs, echo, endWith, openProbe, startPair, textOfBytes } from "../fixture.js";

/** What one call carries: messages both ways, metadata, status. */
export function callsContract(transport: Transport): void {
  describe("calls", () => {
    test("a unary call gets its message back and ends OK", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const probe = callOnce(pair.connection, "/t.S/Echo", bytesOf("hello"));
      expect(await probe.outcome).toEqual({ status: okStatus, trailers: [], processed: true });
      expect(probe.messages.map(textOfBytes)).toEqual(["hello"]);
      expect(probe.heads).toHaveLength(1);
    });

    test("an empty message is a message", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const probe = callOnce(pair.connection, "/t.S/Echo", new Uint8Array(0));
      expect((await probe.outcome).status.code).toBe(StatusCode.ok);
      expect(probe.messages.map((bytes) => bytes.byteLength)).toEqual([0]);
    });

    test("a client stream hands over every message in order, then its end", async () => {
      const received: (string | undefined)[] = [];
      await using pair = await startPair(transport, {
        "/t.S/Collect": (stream) => {
          stream.read(Number.MAX_SAFE_INTEGER);
          return {
            message: (bytes) => void received.push(textOfBytes(bytes)),
            halfClose: () => {
              stream.write(bytesOf(received.join()));
              stream.end(okStatus);
            },
            cancel() {},
          };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/Collect");
      for (let i = 0; i < 20; i++) probe.stream.write(bytesOf(`m${i}`));
      probe.stream.end();
      await probe.outcome;
      expect(probe.messages.map(textOfBytes)).toEqual([Array.from({ length: 20 }, (_, i) => `m${i}`).join()]);
    });

    test("a server stream delivers every message in order before its end", async () => {
      await using pair = await startPair(transport, {
        "/t.S/Count": (stream) => {
          stream.read(1);
          return {
            message: () => {
              for (let i = 0; i < 50; i++) stream.write(bytesOf(`m${i}`));
              stream.end(okStatus);
            },
            halfClose() {},
            cancel() {},
          };
        },
      });
      const probe = callOnce(pair.connection, "/t.S/Count");
      expect((await probe.outcome).status).toEqual(okStatus);
      expect(probe.messages.map(textOfBytes)).toEqual(Array.from({ length: 50 }, (_, i) => `m${i}`));
    });

    test("both sides talk in turn on one stream", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const probe = openProbe(pair.connection, "/t.S/Echo");
      for (let i = 0; i < 5; i++) {
        probe.stream.write(bytesOf(`turn ${i}`));
        await eventually(() => probe.messages.length === i + 1, { ceilingMs });
      }
      probe.stream.end();
      expect((await probe.outcome).status).toEqual(okStatus);
      expect(textOfBytes(probe.messages[4])).toBe("turn 4");
    });

    test("a server may end OK before the client has half-closed", async () => {
      await using pair = await startPair(transport, {
        "/t.S/Early": (stream) => {
          stream.write(bytesOf("enough"));
          stream.end(okStatus);
          return { message() {}, halfClose() {}, cancel() {} };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/Early");
      probe.stream.write(bytesOf("more"));
      expect((await probe.outcome).status).toEqual(okStatus);
      expect(probe.messages.map(textOfBytes)).toEqual(["enough"]);
    });

    test("100 calls at once on one connection each get their own reply", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const probes = Array.from({ length: 100 }, (_, i) =>
        callOnce(pair.connection, "/t.S/Echo", bytesOf(`call ${i}`)),
      );
      await Promise.all(probes.map((probe) => probe.outcome));
      expect(probes.map((probe) => textOfBytes(probe.messages[0]))).toEqual(probes.map((_, i) => `call ${i}`));
    });

    test("a message of 3 MiB arrives whole both ways", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const big = new Uint8Array(3 * 1024 * 1024).map((_, i) => i % 251);
      const probe = callOnce(pair.connection, "/t.S/Echo", big);
      expect((await probe.outcome).status).toEqual(okStatus);
      expect(Buffer.compare(probe.messages[0] ?? bytesOf(""), big)).toBe(0);
    });

    test("the bytes of a message stay as they are when more messages arrive", async () => {
      await using pair = await startPair(transport, { "/t.S/Echo": echo });
      const first = callOnce(pair.connection, "/t.S/Echo", new Uint8Array(1_000).fill(1));
      await first.outcome;
      const second = callOnce(pair.connection, "/t.S/Echo", new Uint8Array(1_000).fill(2));
      await second.outcome;
      expect(first.messages[0]?.every((byte) => byte === 1)).toBe(true);
    });

    metadataContract(transport);
    statusContract(transport);
  });
}

function metadataContract(transport: Transport): void {
  const sent: Metadata = [
    ["x-text", "plain"],
    ["x-repeated", "one"],
    ["x-repeated", "two"],
    ["x-bytes-bin", new Uint8Array([0, 1, 254, 255])],
    ["x-bytes-bin", new Uint8Array([7])],
    ["authorization", "Bearer abc"],
  ];

  test("text, bytes and repeated names travel as request metadata, head and trailers", async () => {
    let request: Metadata = [];
    await using pair = await startPair(transport, {
      "/t.S/Meta": (stream) => {
        request = stream.metadata;
        stream.read(1);
        return {
          message() {},
          halfClose: () => {
            stream.sendHead(stream.metadata);
            stream.write(bytesOf("x"));
            stream.end(okStatus, stream.metadata);
          },
          cancel() {},
        };
      },
    });
    const probe = callOnce(pair.connection, "/t.S/Meta", bytesOf("x"), { metadata: sent });
    const { trailers } = await probe.outcome;
    for (const received of [request, probe.heads[0] ?? [], trailers]) {
      expect(valuesOf(received, "x-text")).toEqual(["plain"]);
      expect(valuesOf(received, "x-repeated").join(", ")).toBe("one, two");
      expect(valuesOf(received, "x-bytes-bin").map((value) => [...Buffer.from(value)])).toEqual([
        [0, 1, 254, 255],
        [7],
      ]);
      expect(valuesOf(received, "authorization")).toEqual(["Bearer abc"]);
    }
  });

  test("the transport's own names are neither sent nor delivered", async () => {
    let request: Metadata = [];
    await using pair = await startPair(transport, {
      "/t.S/Meta": (stream) => {
        request = stream.metadata;
        return endWith(okStatus, [["connection", "close"]])(stream);
      },
    });
    const own: Metadata = ["te", "content-type", "connection", "grpc-status", "content-length"].map((name) => [
      name,
      "1",
    ]);
    const probe = callOnce(pair.connection, "/t.S/Meta", bytesOf("x"), { metadata: own, timeoutMs: ceilingMs });
    expect(await probe.outcome).toEqual({ status: okStatus, trailers: [], processed: true });
    expect(request.filter(([name]) => name !== "user-agent")).toEqual([]);
  });

  test("metadata that cannot be sent ends the stream INTERNAL and leaves the connection as it was", async () => {
    await using pair = await startPair(transport, { "/t.S/Echo": echo });
    const bad = callOnce(pair.connection, "/t.S/Echo", bytesOf("x"), { metadata: [["x-text", "line\nbreak"]] });
    expect((await bad.outcome).status.code).toBe(StatusCode.internal);
    expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
  });
}

function statusContract(transport: Transport): void {
  test("a failed call without a message has no head, and its status, details and trailers arrive", async () => {
    const status = {
      code: StatusCode.failedPrecondition,
      message: "größer – 100 % “ok”\n",
      details: bytesOf("details"),
    };
    await using pair = await startPair(transport, { "/t.S/Fail": endWith(status, [["x-why", "stock"]]) });
    const probe = callOnce(pair.connection, "/t.S/Fail");
    const outcome = await probe.outcome;
    expect(outcome.processed).toBe(true);
    expect(outcome.status.code).toBe(status.code);
    expect(outcome.status.message).toBe(status.message);
    expect(textOfBytes(outcome.status.details)).toBe("details");
    expect(outcome.trailers).toEqual([["x-why", "stock"]]);
    expect(probe.heads).toEqual([]);
  });

  test("a status after messages arrives with its details", async () => {
    await using pair = await startPair(transport, {
      "/t.S/Fail": (stream) => {
        stream.write(bytesOf("first"));
        stream.read(1);
        return {
          message: () => stream.end({ code: StatusCode.aborted, message: "later", details: bytesOf("d") }),
          halfClose() {},
          cancel() {},
        };
      },
    });
    const probe = openProbe(pair.connection, "/t.S/Fail");
    await eventually(() => probe.messages.length === 1, { ceilingMs });
    probe.stream.write(bytesOf("go"));
    const outcome = await probe.outcome;
    expect(outcome.status.code).toBe(StatusCode.aborted);
    expect(textOfBytes(outcome.status.details)).toBe("d");
  });

  test("half a surrogate pair in a message harms nobody", async () => {
    const status = { code: StatusCode.notFound, message: "no \ud800 here" };
    await using pair = await startPair(transport, { "/t.S/Fail": endWith(status) });
    expect((await callOnce(pair.connection, "/t.S/Fail").outcome).status.code).toBe(StatusCode.notFound);
  });

  test("an unknown path is UNIMPLEMENTED, whatever is in it", async () => {
    await using pair = await startPair(transport, { "/t.S/Echo": echo });
    for (const path of ["/t.S/Nope", "/", "/t.S/%zz", "/t.S/Echo/"]) {
      expect((await callOnce(pair.connection, path).outcome).status.code, path).toBe(StatusCode.unimplemented);
    }
    expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
  });

  test("a handler that throws ends its stream INTERNAL without telling why, and the process stays up", async () => {
    await using pair = await startPair(transport, {
      "/t.S/Throw": () => {
        throw new Error("secret");
      },
      "/t.S/ThrowLater": (stream) => {
        stream.read(1);
        return {
          message() {
            throw new Error("secret");
          },
          halfClose() {},
          cancel() {},
        };
      },
      "/t.S/Echo": echo,
    });
    for (const path of ["/t.S/Throw", "/t.S/ThrowLater"]) {
      const { status } = await callOnce(pair.connection, path).outcome;
      expect(status.code).toBe(StatusCode.internal);
      expect(status.message).not.toContain("secret");
    }
    expect((await callOnce(pair.connection, "/t.S/Echo").outcome).status).toEqual(okStatus);
    expect(pair.listener.openStreams).toBe(0);
  });
}

function valuesOf(metadata: Metadata, name: string): (string | Uint8Array)[] {
  return metadata.filter(([key]) => key === name).map(([, value]) => value);
}
