import { connect } from "node:http2";
import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { okStatus, StatusCode } from "../../status.js";
import type { Transport } from "../../transport.js";
import { bytesOf, ceilingMs, echo, listenOn, openProbe, startPair } from "../fixture.js";

/** A rule that some transport cannot keep. */
export type TransportGap = "cancel-looks-finished" | "long-timeout-wraps";

/**
 * Rules that not every transport keeps. One that has the gap is held to having it still: when the library underneath is mended, the
 * test fails, and the gap goes from its list.
 */
export function gapsContract(transport: Transport, gaps: readonly TransportGap[]): void {
  describe("rules with known gaps", () => {
    test("a request stream that its client cancels never looks finished to the server", async () => {
      const events: string[] = [];
      await using pair = await startPair(transport, {
        "/t.S/Collect": (stream) => {
          stream.read(Number.MAX_SAFE_INTEGER);
          return {
            message: () => void events.push("message"),
            halfClose: () => void events.push("half-close"),
            cancel: () => void events.push("cancel"),
          };
        },
      });
      const probe = openProbe(pair.connection, "/t.S/Collect");
      probe.stream.write(bytesOf("part of it"));
      await eventually(() => events.length === 1, { ceilingMs });
      probe.stream.reset({ code: StatusCode.cancelled, message: "changed my mind" });
      await eventually(() => events.includes("cancel"), { ceilingMs });
      const expected = gaps.includes("cancel-looks-finished")
        ? ["message", "half-close", "cancel"]
        : ["message", "cancel"];
      expect(events).toEqual(expected);
    });

    test("the longest timeout that gRPC can write does not end a call early", async () => {
      await using listener = await listenOn(transport, {
        "/t.S/Time": (stream) => {
          const left = stream.timeoutMs ?? Number.POSITIVE_INFINITY;
          stream.end(okStatus, [["x-days", String(left / 86_400_000 > 10_000)]]);
          return echo(stream);
        },
      });
      const session = connect(`http://127.0.0.1:${listener.port}`);
      const stream = session.request({
        ":method": "POST",
        ":path": "/t.S/Time",
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-timeout": "99999999H",
      });
      const days = await new Promise((resolve, reject) => {
        stream.on("error", reject);
        stream.on("response", (headers) => resolve(headers["x-days"]));
        stream.end();
      });
      session.destroy();
      expect(days).toBe(String(!gaps.includes("long-timeout-wraps")));
    });
  });
}
