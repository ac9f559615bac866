import { request } from "node:http";
import { eventually, FakeClock } from "@weft/foundation/testing";
import { expect, test } from "vitest";
import { defineConfig } from "../config/table.js";
import { variable } from "../config/variable.js";
import { startService } from "../testing/start-service.js";

const config = defineConfig({ TOKEN: variable.secret({ doc: "Token.", default: "hunter2" }) });

async function get(url: string): Promise<{ status: number; body: string }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.text() };
}

function messages(lines: readonly string[]): string[] {
  return lines.map((line) => {
    const parsed: { message: string } = JSON.parse(line);
    return parsed.message;
  });
}

test("the admin port is live at once, and ready when every gate is open, with the reasons until then", async () => {
  let open = (): void => {};
  await using service = await startService({
    config,
    wire: (chassis) => {
      const gate = chassis.readiness.add("database", "connecting to 10.0.0.9");
      open = () => gate.ready();
    },
  });
  expect((await get(`${service.adminUrl}/livez`)).status).toBe(200);
  const before = await get(`${service.adminUrl}/readyz`);
  expect(before.status).toBe(503);
  expect(JSON.parse(before.body)).toEqual({
    ready: false,
    reasons: [{ name: "database", reason: "connecting to 10.0.0.9" }],
  });
  open();
  expect((await get(`${service.adminUrl}/readyz`)).status).toBe(200);
  expect((await get(`${service.adminUrl}/config`)).status).toBe(404);
  expect((await fetch(`${service.adminUrl}/livez`, { method: "POST" })).status).toBe(405);
});

test("a planned stop withdraws readiness, serves on for the delay, then drains everything at once, and ends with 0", async () => {
  const clock = new FakeClock();
  const drained: string[] = [];
  let finish = (): void => {};
  const service = await startService({
    config,
    clock,
    env: { WEFT_DRAIN_DELAY: "5s", WEFT_DRAIN_TIMEOUT: "20s" },
    wire: (chassis) => {
      chassis.onDrain("slow", async ({ timeoutMs }) => {
        drained.push(`slow ${timeoutMs}`);
        await new Promise<void>((resolve) => {
          finish = resolve;
        });
      });
      chassis.onDrain("quick", async () => {
        drained.push("quick");
      });
    },
  });
  service.signal("SIGTERM");
  await eventually(async () => (await get(`${service.adminUrl}/readyz`)).status === 503, { ceilingMs: 5_000 });
  await clock.advance(4_999);
  expect(drained).toEqual([]);
  expect((await get(`${service.adminUrl}/livez`)).status).toBe(200);
  await clock.advance(1);
  expect(drained).toEqual(["slow 20000", "quick"]);
  finish();
  expect(await service.exited).toBe(0);
  await expect(fetch(`${service.adminUrl}/livez`)).rejects.toThrow();
  expect(clock.pendingTimers).toBe(0);
});

test("what is not drained in time is cut off, and the process ends with 0 all the same", async () => {
  const clock = new FakeClock();
  let told = false;
  const service = await startService({
    config,
    clock,
    env: { WEFT_DRAIN_TIMEOUT: "3s" },
    wire: (chassis) => {
      chassis.onDrain("stuck", ({ signal }) => {
        signal.addEventListener("abort", () => {
          told = true;
        });
        return new Promise(() => {});
      });
    },
  });
  service.signal("SIGINT");
  await eventually(() => messages(service.lines).includes("stopping"), { ceilingMs: 5_000 });
  await clock.advance(3_000);
  expect(told).toBe(true);
  await clock.advance(500);
  expect(await service.exited).toBe(0);
  expect(messages(service.lines).some((message) => message.startsWith("the drain took too long"))).toBe(true);
});

test("a second signal ends the process at once", async () => {
  const service = await startService({ config, env: { WEFT_DRAIN_DELAY: "1h" }, wire: () => {} });
  service.signal("SIGTERM");
  service.signal("SIGTERM");
  expect(await service.exited).toBe(143);
});

test("a background task that fails is logged once, and ends the process with 1", async () => {
  let disposed = false;
  const service = await startService({
    config,
    wire: (chassis) => {
      chassis.scope.defer(() => {
        disposed = true;
      });
      chassis.scope.spawn(async () => {
        throw new Error("the feed broke");
      });
    },
  });
  expect(await service.exited).toBe(1);
  expect(disposed).toBe(true);
  expect(service.lines.filter((line) => line.includes("the feed broke"))).toHaveLength(1);
});

test("a wire that fails ends the process with 1", async () => {
  const starting = startService({
    config,
    wire: async () => {
      throw new Error("no such table");
    },
  });
  await expect(starting).rejects.toThrow(/ended with code 1(.|\n)*no such table/);
});

test("a signal while the service still starts ends it", async () => {
  const clock = new FakeClock();
  const service = await startService({ config, clock, wire: () => {} });
  service.signal("SIGTERM");
  expect(await service.exited).toBe(0);
});

test("/config shows who it is, its config without secrets, and what parts say of themselves", async () => {
  await using service = await startService({
    config,
    env: { OTEL_SERVICE_NAME: "orders" },
    wire: (chassis) => chassis.describe("cache", () => ({ size: 10n })),
  });
  const { body } = await get(`${service.debugUrl}/config`);
  expect(body).not.toContain("hunter2");
  expect(JSON.parse(body)).toMatchObject({
    process: { name: "orders", namespace: "test", pod: "test-0" },
    config: { TOKEN: "[redacted]", WEFT_BIND: "127.0.0.1" },
    cache: { size: "10" },
  });
});

test("the debug handler on loopback refuses what a web page could send", async () => {
  await using service = await startService({ config, wire: () => {} });
  const ask = (headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      request(`${service.debugUrl}/config`, { headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      })
        .on("error", reject)
        .end();
    });
  expect(await ask({})).toBe(200);
  expect(await ask({ host: "evil.example" })).toBe(403);
  expect(await ask({ host: "127.0.0.1.evil.example:80" })).toBe(403);
  expect(await ask({ origin: "http://127.0.0.1:3000" })).toBe(403);
});

test("a stop with its own times can be asked for on the debug handler", async () => {
  let timeout = 0;
  const service = await startService({
    config,
    env: { WEFT_DRAIN_DELAY: "1h" },
    wire: (chassis) =>
      chassis.onDrain("part", async ({ timeoutMs }) => {
        timeout = timeoutMs;
      }),
  });
  expect((await fetch(`${service.debugUrl}/stop?delay=soon`, { method: "POST" })).status).toBe(400);
  expect((await fetch(`${service.debugUrl}/stop?delay=0s&timeout=3s`, { method: "POST" })).status).toBe(202);
  expect(await service.exited).toBe(0);
  expect(timeout).toBe(3_000);
});

test("a CPU profile can be taken", async () => {
  await using service = await startService({ config, wire: () => {} });
  const { status, body } = await get(`${service.debugUrl}/profile?duration=50ms`);
  expect(status).toBe(200);
  expect(JSON.parse(body)).toHaveProperty("nodes");
  expect((await get(`${service.debugUrl}/profile?duration=1h`)).status).toBe(400);
});
