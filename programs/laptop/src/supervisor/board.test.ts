import { Writable } from "node:stream";
import { WatchSource } from "@weft/foundation";
import { expect, test } from "vitest";
import { format, showBoard } from "./board.js";
import type { DeploymentLine } from "./readiness.js";

const gateway: DeploymentLine = {
  ...{ name: "gateway", namespace: "weft", ready: 0, wanted: 1, done: false },
  why: 'gateway: HTTP status 503: { "ready": false, "reasons": [ { "name": "mesh", "reason": "target \\"catalog.shop\\" waits for its listener" }, { "name": "startup", "reason": "starting" } ] }',
};

test("a readiness answer in JSON is shown as its reasons", () => {
  expect(format([gateway])).toEqual([
    '  ○ weft/gateway  0/1  gateway: target "catalog.shop" waits for its listener; starting',
  ]);
});

test("a row that is wider than the terminal is cut with a mark, and one that fits is whole", () => {
  expect(drawn(40)).toContain("  \u001b[33m○\u001b[0m weft/gateway  0/1  gateway: target…\n");
  expect(drawn(200)).toContain("waits for its listener; starting\n");
});

test("a terminal that does not know its width gets eighty columns", () => {
  expect(drawn(0)).toContain('target "catalog.shop" waits for its');
});

function drawn(columns: number): string {
  let text = "";
  const output = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString();
      done();
    },
  });
  showBoard({
    screen: { output: Object.assign(output, { isTTY: true, columns }) },
    lines: new WatchSource([gateway]),
  })[Symbol.dispose]();
  return text;
}
