import fc from "fast-check";
import { test } from "vitest";
import { clientBytes, fuzzClient, fuzzServer, serverBytes } from "./testing/fuzz.js";

// The same inputs each time, so that a failure here is one that a change brought; fuzz.long.test.ts looks for new ones.
const run = { seed: 20_261_124, numRuns: 10_000 } as const;

test("whatever a client sends, the server answers in frames or gives up with GOAWAY, and nothing is left of it", async () => {
  await fc.assert(fc.asyncProperty(clientBytes, fuzzServer), run);
}, 300_000);

test("whatever a server sends, each call of the client ends at most once, and nothing is left of the connection", async () => {
  await fc.assert(fc.asyncProperty(serverBytes, fuzzClient), run);
}, 300_000);
