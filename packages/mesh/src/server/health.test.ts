import { status as grpcStatus } from "@grpc/grpc-js";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "@weft/contracts/grpc/health/v1";
import { eventually } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { ceilingMs, serveKinds } from "./testing/fixture.js";

const kinds = "weft.test.v1.KindsService";
const { check, watch, list } = Health.method;

describe("health", () => {
  test("is SERVING as a whole and by service; one that is not served is NOT_FOUND", async () => {
    await using served = await serveKinds({});
    for (const service of ["", kinds]) {
      const reply = await served.client.call(check, [{ service }]);
      expect(reply.messages[0]?.status).toBe(ServingStatus.SERVING);
    }
    expect((await served.client.call(check, [{ service: "a.B" }])).status.code).toBe(grpcStatus.NOT_FOUND);
  });

  test("of one service is set apart; no service is better than the server", async () => {
    await using served = await serveKinds({});
    const statusOf = async (service: string) => (await served.client.call(check, [{ service }])).messages[0]?.status;
    served.server.setServing(false, kinds);
    expect(await statusOf("")).toBe(ServingStatus.SERVING);
    expect(await statusOf(kinds)).toBe(ServingStatus.NOT_SERVING);
    served.server.setServing(true, kinds);
    served.server.setServing(false);
    expect(await statusOf("")).toBe(ServingStatus.NOT_SERVING);
    expect(await statusOf(kinds)).toBe(ServingStatus.NOT_SERVING);
    expect(() => served.server.setServing(true, "a.B")).toThrow(/not served here/);
  });

  test("is listed by service", async () => {
    await using served = await serveKinds({});
    const reply = await served.client.call(list, [{}]);
    expect(Object.keys(reply.messages[0]?.statuses ?? {})).toEqual(["", kinds]);
  });

  test("is watched: each change is told, an unknown service stays unknown, and a drain ends the watch", async () => {
    await using served = await serveKinds({});
    const known = served.client.stream(watch);
    const unknown = served.client.stream(watch);
    known.write({ service: kinds });
    unknown.write({ service: "a.B" });
    known.end();
    unknown.end();
    await eventually(() => known.messages.length === 1 && unknown.messages.length === 1, { ceilingMs });
    served.server.setServing(false, kinds);
    await eventually(() => known.messages.length === 2, { ceilingMs });
    served.server.setServing(true, kinds);
    await eventually(() => known.messages.length === 3, { ceilingMs });
    await served.server.drain({ delayMs: 0, timeoutMs: 60_000 });
    const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = ServingStatus;
    expect((await known.reply).messages.slice(0, 3).map((message) => message.status)).toEqual([
      SERVING,
      NOT_SERVING,
      SERVING,
    ]);
    expect((await known.reply).status.code).toBe(grpcStatus.UNAVAILABLE);
    expect(unknown.messages.map((message) => message.status)).toEqual([SERVICE_UNKNOWN]);
  });
});
