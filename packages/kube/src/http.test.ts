import fc from "fast-check";
import { expect, test } from "vitest";
import { lineBatches, searchOf } from "./http.js";

async function* from(chunks: readonly Buffer[]): AsyncIterable<Buffer> {
  yield* chunks;
}

async function linesOf(chunks: readonly Buffer[], max = 1_000): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const batch of lineBatches(from(chunks), max)) lines.push(...batch);
  return lines;
}

test("lines come whole however the bytes are cut, characters of several bytes too", async () => {
  const whole = fc.array(
    fc.string({ unit: "grapheme" }).map((line) => line.replaceAll("\n", " ")),
    { minLength: 1 },
  );
  await fc.assert(
    fc.asyncProperty(whole, fc.integer({ min: 1, max: 7 }), async (lines, size) => {
      const bytes = Buffer.from(`${lines.join("\n")}\n`);
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      expect(await linesOf(chunks, 100_000)).toEqual(lines);
    }),
    { numRuns: 50 },
  );
});

test("the last line needs no end, a line without end has a limit", async () => {
  expect(await linesOf([Buffer.from("a\nb")])).toEqual(["a", "b"]);
  const endless = Array.from({ length: 20 }, () => Buffer.alloc(100, "x"));
  await expect(linesOf(endless)).rejects.toThrow("line longer than 1000 bytes");
});

test("a query leaves out what is undefined and escapes the rest", () => {
  expect(searchOf({ labelSelector: "a=b,c in (d)", limit: 5, watch: true, none: undefined })).toBe(
    "?labelSelector=a%3Db%2Cc+in+%28d%29&limit=5&watch=true",
  );
  expect(searchOf({})).toBe("");
});
