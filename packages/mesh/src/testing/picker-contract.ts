import { describe, expect, test } from "vitest";
import type { Balancer, CallAttributes, Candidate, CandidateState } from "../balancer/picker.js";

interface FakeEndpoint {
  readonly address: string;
  inFlight: number;
}

const call: CallAttributes = { path: "/test.Service/Method", tried: new Set() };

function candidate(address: string, state: CandidateState): Candidate<FakeEndpoint> {
  return { endpoint: { address, inFlight: 0 }, state };
}

const ready: CandidateState = { t: "ready" };
const idle: CandidateState = { t: "idle" };
const connecting: CandidateState = { t: "connecting" };
const failed: CandidateState = { t: "failed", message: "connection refused" };

/** What every balancer keeps to. Call it in a test file of the balancer. */
export function runPickerContract(name: string, create: () => Balancer): void {
  describe(`${name} keeps the picker contract`, () => {
    test("only endpoints that are ready are taken", () => {
      const candidates = [
        candidate("a:1", connecting),
        candidate("b:1", ready),
        candidate("c:1", failed),
        candidate("d:1", idle),
      ];
      const picker = create().picker(candidates, Math.random);
      for (let n = 0; n < 50; n += 1) {
        expect(picker.pick(call)).toMatchObject({ t: "complete", endpoint: { address: "b:1" } });
      }
    });

    test("while an endpoint may still come up, calls queue", () => {
      expect(
        create()
          .picker([candidate("a:1", failed), candidate("b:1", connecting)], Math.random)
          .pick(call).t,
      ).toBe("queue");
      expect(
        create()
          .picker([candidate("a:1", idle)], Math.random)
          .pick(call).t,
      ).toBe("queue");
    });

    test("when every endpoint is down, the pick fails and says which and why", () => {
      const result = create()
        .picker([candidate("a:1", failed)], Math.random)
        .pick(call);
      expect(result).toEqual({ t: "fail", message: expect.stringContaining("a:1: connection refused") });
    });

    test("without endpoints the pick fails", () => {
      expect(create().picker([], Math.random).pick(call).t).toBe("fail");
    });

    test("an endpoint that was tried is avoided as long as there is another", () => {
      const picker = create().picker([candidate("a:1", ready), candidate("b:1", ready)], Math.random);
      for (let n = 0; n < 50; n += 1) {
        expect(picker.pick({ ...call, tried: new Set(["a:1"]) })).toMatchObject({ endpoint: { address: "b:1" } });
      }
      expect(picker.pick({ ...call, tried: new Set(["a:1", "b:1"]) }).t).toBe("complete");
    });

    test("a pick changes nothing that another picker sees", () => {
      const candidates = [candidate("a:1", ready), candidate("b:1", ready)];
      const before = JSON.stringify(candidates);
      create().picker(candidates, Math.random).pick(call);
      expect(JSON.stringify(candidates)).toBe(before);
    });

    test("what is idle is asked for, so that a first call finds something", () => {
      const wanted = create().wanted([candidate("a:1", idle), candidate("b:1", idle)]);
      expect(wanted.length).toBeGreaterThan(0);
      expect(
        create()
          .wanted([candidate("a:1", failed), candidate("b:1", idle)])
          .map(({ address }) => address),
      ).toEqual(["b:1"]);
      expect(create().wanted([candidate("a:1", connecting)])).toEqual([]);
    });
  });
}
