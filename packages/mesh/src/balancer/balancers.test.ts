import { expect, test } from "vitest";
import { runPickerContract } from "../testing/picker-contract.js";
import { leastRequest } from "./least-request.js";
import { pickFirst } from "./pick-first.js";
import type { CallAttributes, Candidate } from "./picker.js";
import { roundRobin } from "./round-robin.js";

runPickerContract("least request", () => leastRequest(2));
runPickerContract("round robin", () => roundRobin);
runPickerContract("pick first", () => pickFirst);

const call: CallAttributes = { path: "/test.Service/Method", tried: new Set() };

function candidates(count: number): Candidate<{ address: string; inFlight: number }>[] {
  return Array.from({ length: count }, (_, n) => ({
    endpoint: { address: `10.0.0.${n}:1`, inFlight: 0 },
    state: { t: "ready" } as const,
  }));
}

test("least request takes the less busy of the two endpoints it looks at", () => {
  const both = candidates(2);
  const busy = both[0]?.endpoint;
  if (busy !== undefined) busy.inFlight = 10;
  const points = [0, 0.9];
  const picker = leastRequest(2).picker(both, () => points.shift() ?? 0);
  expect(picker.pick(call)).toMatchObject({ endpoint: { address: "10.0.0.1:1" } });
});

test("least request sends a slow endpoint a fraction of the calls", () => {
  const all = candidates(3);
  const counts = [0, 0, 0];
  const picker = leastRequest(2).picker(all, Math.random);
  for (let n = 0; n < 3_000; n += 1) {
    const result = picker.pick(call);
    if (result.t !== "complete") throw new Error("no pick");
    const index = all.findIndex(({ endpoint }) => endpoint === result.endpoint);
    counts[index] = (counts[index] ?? 0) + 1;
    // The first never finishes anything; the others do at once.
    if (index === 0) result.endpoint.inFlight += 1;
  }
  expect(counts[0]).toBeLessThan(600);
});

test("round robin gives each endpoint the same number of calls", () => {
  const counts = new Map<string, number>();
  const picker = roundRobin.picker(candidates(4), Math.random);
  for (let n = 0; n < 400; n += 1) {
    const result = picker.pick(call);
    if (result.t === "complete") counts.set(result.endpoint.address, (counts.get(result.endpoint.address) ?? 0) + 1);
  }
  expect([...counts.values()]).toEqual([100, 100, 100, 100]);
});

test("pick first stays with the first and connects to nothing else", () => {
  const picker = pickFirst.picker(candidates(3), Math.random);
  for (let n = 0; n < 5; n += 1) expect(picker.pick(call)).toMatchObject({ endpoint: { address: "10.0.0.0:1" } });
  expect(
    pickFirst.wanted(candidates(3).map(({ endpoint }) => ({ endpoint, state: { t: "idle" } as const }))),
  ).toHaveLength(1);
});
