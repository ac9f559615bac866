import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeStatusMessage, encodeStatusMessage } from "./status-message.js";
import { decodeTimeout, encodeTimeout } from "./timeout.js";

describe("grpc-timeout", () => {
  test.each([
    [0.0001, "1u"],
    [0.25, "250u"],
    [1, "1m"],
    [5_000.9, "5000m"],
    [99_999_999, "99999999m"],
    [100_000_000, "100000S"],
    [99_999_999 * 60_000, "99999999M"],
    [Number.MAX_SAFE_INTEGER * 1e6, "99999999H"],
  ])("%d ms is %s", (ms, text) => {
    expect(encodeTimeout(ms)).toBe(text);
    expect(encodeTimeout(ms)).toMatch(/^\d{1,8}[HMSmun]$/);
  });

  test("what is sent is never more than what there is, but for the least that can be sent", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 1e12, noNaN: true }), (ms) => {
        const sent = decodeTimeout(encodeTimeout(ms)) ?? Number.NaN;
        expect(sent).toBeLessThanOrEqual(ms * (1 + 1e-9));
        expect(sent).toBeGreaterThan(ms / 2 - 0.001);
      }),
    );
  });

  test.each(["", "m", "12", "-1S", "1x", "123456789m", "1 S", "１m"])("%j is none", (text) => {
    expect(decodeTimeout(text)).toBeUndefined();
  });
});

describe("grpc-message", () => {
  test("any text comes back, and only printable ASCII without white space at the ends is sent", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const sent = encodeStatusMessage(text);
        expect(sent).toMatch(/^(?:[!-~](?:[ -~]*[!-~])?)?$/);
        expect(decodeStatusMessage(sent)).toBe(text);
      }),
    );
  });

  test.each([
    ["plain words", "plain words"],
    ["100 %", "100 %25"],
    ["\t\n☺ 😈", "%09%0A%E2%98%BA %F0%9F%98%88"],
    [" edges ", "%20edges%20"],
  ])("%j is sent as %s", (text, sent) => {
    expect(encodeStatusMessage(text)).toBe(sent);
  });

  test.each([
    ["%", "%"],
    ["%4", "%4"],
    ["%zz%41", "%zzA"],
    ["%ff", "\ufffd"],
  ])("%s, out of rule, is read as %j", (sent, text) => {
    expect(decodeStatusMessage(sent)).toBe(text);
  });
});
