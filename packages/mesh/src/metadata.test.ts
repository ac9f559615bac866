import { describe, expect, test } from "vitest";
import { headersFromMetadata, metadataFromHeaders } from "./metadata.js";

describe("headers and metadata", () => {
  test("text and bytes go over and back, repeated ones in their order", () => {
    const headers = headersFromMetadata([
      ["x-text", "one"],
      ["x-text", "two"],
      ["x-bytes-bin", Uint8Array.of(0, 255)],
      ["x-bytes-bin", Uint8Array.of(7)],
    ]);
    expect(headers.get("x-text")).toBe("one, two");
    expect(headers.get("x-bytes-bin")).toBe("AP8, Bw");
    expect(metadataFromHeaders(headers)).toEqual([
      ["x-bytes-bin", Uint8Array.of(0, 255)],
      ["x-bytes-bin", Uint8Array.of(7)],
      ["x-text", "one, two"],
    ]);
  });

  test("a -bin value that is no base64 is left out", () => {
    const headers = new Headers({ "x-bytes-bin": "%%%", "x-text": "kept" });
    expect(metadataFromHeaders(headers)).toEqual([["x-text", "kept"]]);
  });
});
