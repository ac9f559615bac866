import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, type ContextManager, context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTelemetry } from "../telemetry/telemetry.js";
import { recordMeter, recordTracer } from "../telemetry/testing/recorders.js";
import { serveKinds } from "./testing/fixture.js";
import { KindsService } from "./testing/kinds-service.js";

const storage = new AsyncLocalStorage<Context>();
const manager: ContextManager = {
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, work, thisArg, ...args) => storage.run(active, () => work.apply(thisArg, args)),
  bind: (_context, target) => target,
  enable: () => manager,
  disable: () => manager,
};

beforeAll(() => void context.setGlobalContextManager(manager));
afterAll(() => context.disable());

test("each call has a server span that is active in its handler, and metrics of what it moved", async () => {
  const { tracer, spans } = recordTracer();
  const { meter, records } = recordMeter();
  const active: (string | undefined)[] = [];
  await using served = await serveKinds(
    {
      one: async (request) => {
        await new Promise((resolve) => setImmediate(resolve));
        active.push(trace.getActiveSpan()?.spanContext().spanId);
        return { value: request.value };
      },
      // biome-ignore lint/correctness/useYield: it fails before it yields
      async *many() {
        active.push(trace.getActiveSpan()?.spanContext().spanId);
        throw new Error("inside");
      },
    },
    { telemetry: createTelemetry({ tracer, meter }) },
  );
  await served.client.call(KindsService.method.one, [{ value: "12345678" }]);
  await served.client.call(KindsService.method.many, [{}]);
  expect(active).toEqual(spans.map((span) => span.spanId));
  expect(spans).toMatchObject([
    {
      name: "weft.test.v1.KindsService/One",
      kind: "server",
      ended: true,
      error: undefined,
      attributes: {
        "rpc.service": "weft.test.v1.KindsService",
        "rpc.method": "One",
        "rpc.grpc.status_code": 0,
        "server.port": served.server.port,
        "network.peer.address": "127.0.0.1",
      },
    },
    { name: "weft.test.v1.KindsService/Many", ended: true, error: "internal error" },
  ]);
  const sizes = records.filter(([name, , labels]) => name.includes("message_size") && labels?.["grpc.status"] === "OK");
  expect(sizes.map(([, value]) => value)).toEqual([10, 10]);
});
