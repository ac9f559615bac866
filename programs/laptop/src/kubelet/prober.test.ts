import { expect, test } from "vitest";
import { runProbe } from "./probe.js";
import { ProbeCounter } from "./prober.js";
import { RestartBackOff } from "./restart-back-off.js";

const failure = { t: "failure", message: "no" } as const;
const success = { t: "success" } as const;

test("a verdict changes only when its threshold is reached in a row", () => {
  const counter = new ProbeCounter({ successThreshold: 2, failureThreshold: 3 });
  const verdicts = [success, success, failure, failure, success, failure, failure, failure, success].map(
    (outcome) => counter.count(outcome).t,
  );
  expect(verdicts).toEqual([
    ...["unknown", "passing", "passing", "passing", "passing", "passing", "passing", "failing", "failing"],
  ]);
});

test("a restart waits not at all, then 10 s doubling to 5 min, and starts over after ten good minutes", () => {
  const backOff = new RestartBackOff();
  const waits = Array.from({ length: 8 }, () => backOff.nextMs(1_000));
  expect(waits).toEqual([0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  expect(backOff.nextMs(600_000)).toBe(0);
  expect(backOff.nextMs(1_000)).toBe(10_000);
});

test("a probe that hangs, or finds nobody, is a failure that says so", async () => {
  const base = { env: { PATH: process.env["PATH"] }, cwd: "/" };
  const hung = await runProbe({ t: "exec", command: ["sleep", "20"], ...base }, 100);
  expect(hung).toEqual({ t: "failure", message: 'command "sleep" took longer than 100 ms' });
  const wrong = await runProbe({ t: "exec", command: ["sh", "-c", "echo why; exit 3"], ...base }, 5_000);
  expect(wrong).toEqual({ t: "failure", message: 'command "sh" exited 3: why' });
  const missing = await runProbe({ t: "exec", command: ["no-such-program"], ...base }, 5_000);
  expect(missing).toMatchObject({ t: "failure", message: expect.stringContaining("ENOENT") });
  const refused = await runProbe({ t: "tcp", host: "127.254.3.9", port: 1 }, 1_000);
  expect(refused).toMatchObject({ t: "failure", message: expect.stringContaining("ECONNREFUSED") });
});
