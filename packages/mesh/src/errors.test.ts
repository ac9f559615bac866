import { DurationSchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { DeadlineExceeded } from "@weft/foundation";
import { StatusCode } from "@weft/wire";
import { describe, expect, test } from "vitest";
import { errorOfStatus, failureOf, isFault, statusOfError } from "./errors.js";

describe("a Connect error over the wire", () => {
  test("comes back with its code, message, details and metadata", () => {
    const error = new ConnectError("out of stock", Code.FailedPrecondition, { "x-why": "stock" }, [
      { desc: DurationSchema, value: { seconds: 5n } },
      { desc: StringValueSchema, value: { value: "tea" } },
    ]);
    const { status, trailers } = failureOf(error);
    const back = errorOfStatus(status, trailers);
    expect(back).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "out of stock" });
    expect(back.metadata.get("x-why")).toBe("stock");
    expect(back.findDetails(DurationSchema)).toMatchObject([{ seconds: 5n }]);
    expect(back.findDetails(StringValueSchema)).toMatchObject([{ value: "tea" }]);
    // What was received can be sent on.
    expect(errorOfStatus(statusOfError(back)).findDetails(StringValueSchema)).toMatchObject([{ value: "tea" }]);
  });

  test("keeps each of gRPC's codes", () => {
    for (const code of Object.values(StatusCode)) {
      if (code === StatusCode.ok) continue;
      expect(statusOfError(errorOfStatus({ code, message: "x" })).code).toBe(code);
    }
  });

  test("without details sends none", () => {
    expect(statusOfError(new ConnectError("no", Code.NotFound))).toEqual({ code: StatusCode.notFound, message: "no" });
  });

  test("leaves details out that cannot be read", () => {
    const details = Uint8Array.of(0x0a, 0x7f);
    const error = errorOfStatus({ code: StatusCode.aborted, message: "x", details });
    expect(error).toMatchObject({ code: Code.Aborted, details: [] });
  });
});

describe("anything else that is thrown", () => {
  test("says nothing of itself to the peer", () => {
    for (const thrown of [new TypeError("secret"), "secret", undefined, { secret: true }]) {
      expect(failureOf(thrown)).toEqual({
        status: { code: StatusCode.internal, message: "internal error" },
        trailers: [],
      });
      expect(isFault(thrown)).toBe(true);
    }
  });

  test("a deadline that passed is an answer, not a fault", () => {
    expect(failureOf(new DeadlineExceeded()).status.code).toBe(StatusCode.deadlineExceeded);
    expect(isFault(new DeadlineExceeded())).toBe(false);
    expect(isFault(new ConnectError("no", Code.NotFound))).toBe(false);
    expect(isFault(new ConnectError("bad", Code.Internal))).toBe(true);
  });
});
