import { status as grpcStatus } from "@grpc/grpc-js";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "@weft/contracts/grpc/health/v1";
import { eventually, FakeClock } from "@weft/foundation/testing";
import { describe, expect, test } from "vitest";
import { ceilingMs, serveKinds } from "./testing/fixture.js";
import { KindsService } from "./testing/kinds-service.js";

const { one } = KindsService.method;

describe("a drain", () => {
  test("serves on for the delay while health says NOT_SERVING, then lets calls in flight end", async () => {
    const clock = new FakeClock();
    let finish = (_value: { value: string }): void => {};
    await using served = await serveKinds(
      {
        one: (request) =>
          request.value === "slow"
            ? new Promise((resolve) => {
                finish = resolve;
              })
            : { value: "quick" },
      },
      { clock },
    );
    const slow = served.client.call(one, [{ value: "slow" }]);
    await eventually(() => served.server.openStreams === 1, { ceilingMs });
    let drained = false;
    const drain = served.server.drain({ delayMs: 5_000, timeoutMs: 20_000 }).then(() => {
      drained = true;
    });
    const health = await served.client.call(Health.method.check, [{}]);
    expect(health.messages[0]?.status).toBe(ServingStatus.NOT_SERVING);
    served.server.setServing(true);
    expect(served.server.health.value.serving).toBe(false);
    expect((await served.client.call(one, [{}])).status.code).toBe(grpcStatus.OK);

    await clock.advance(5_000);
    await eventually(
      async () => (await served.client.call(one, [{}], { timeoutMs: 1_000 })).status.code === grpcStatus.UNAVAILABLE,
      {
        ceilingMs,
      },
    );
    expect(drained).toBe(false);
    finish({ value: "done" });
    expect((await slow).status.code).toBe(grpcStatus.OK);
    await drain;
  });

  test("ends what is left UNAVAILABLE when the time is over, and tells the handler", async () => {
    let reason: unknown;
    await using served = await serveKinds({
      one: (_request, context) =>
        new Promise(() => {
          context.signal.addEventListener("abort", () => {
            reason = context.signal.reason;
          });
        }),
    });
    const call = served.client.call(one, [{}]);
    await eventually(() => served.server.openStreams === 1, { ceilingMs });
    await served.server.drain({ delayMs: 0, timeoutMs: 50 });
    expect((await call).status.code).toBe(grpcStatus.UNAVAILABLE);
    expect(String(reason)).toMatch(/unavailable/);
    expect(served.server.openStreams).toBe(0);
  });

  test("a second drain without a delay hastens the first", async () => {
    await using served = await serveKinds({});
    const first = served.server.drain({ delayMs: 10 * ceilingMs, timeoutMs: 10 * ceilingMs });
    await served.server.drain({ delayMs: 0, timeoutMs: 0 });
    await first;
  });
});
