import fc from "fast-check";
import { test } from "vitest";
import { clientBytes, fuzzClient, fuzzServer, serverBytes } from "./testing/fuzz.js";

const run = { numRuns: 500_000 } as const;

test("a million inputs: half of them at a server", async () => {
  await fc.assert(fc.asyncProperty(clientBytes, fuzzServer), run);
}, 3_600_000);

test("a million inputs: the other half at a client", async () => {
  await fc.assert(fc.asyncProperty(serverBytes, fuzzClient), run);
}, 3_600_000);
