import { Code, ConnectError } from "@connectrpc/connect";
import { DeadlineExceeded } from "@weft/foundation";
import pg from "pg";
import { expect, test } from "vitest";
import { fromPostgresError } from "./index.js";

function postgresError(code: string): pg.DatabaseError {
  const error = new pg.DatabaseError(`duplicate key value: 4111 secret`, 1, "error");
  error.code = code;
  return error;
}

test.each([
  ["08006", Code.Unavailable],
  ["57P01", Code.Unavailable],
  ["57P03", Code.Unavailable],
  ["53300", Code.Unavailable],
  ["25006", Code.Unavailable],
  ["28P01", Code.Unavailable],
  ["3D000", Code.Unavailable],
  ["57014", Code.DeadlineExceeded],
  ["40001", Code.Aborted],
  ["40P01", Code.Aborted],
  ["55P03", Code.Aborted],
  ["23505", Code.AlreadyExists],
  ["23514", Code.FailedPrecondition],
  ["22021", Code.InvalidArgument],
  ["53100", Code.ResourceExhausted],
  ["42P01", Code.Internal],
  ["XX000", Code.Internal],
] as const)("SQLSTATE %s becomes code %i, and its text stays inside", (state, code) => {
  const error = fromPostgresError(postgresError(state));
  expect(error.code).toBe(code);
  expect(error.message).not.toContain("secret");
  expect(error.cause).toBeInstanceOf(pg.DatabaseError);
});

test("errors of the socket, of the driver and of the caller have their own codes; a ConnectError stays what it is", () => {
  const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  expect(fromPostgresError(refused).code).toBe(Code.Unavailable);
  expect(fromPostgresError(new Error("Connection terminated unexpectedly")).code).toBe(Code.Unavailable);
  expect(fromPostgresError(new DeadlineExceeded()).code).toBe(Code.DeadlineExceeded);
  expect(fromPostgresError(AbortSignal.abort().reason).code).toBe(Code.Canceled);
  const own = new ConnectError("no", Code.NotFound);
  expect(fromPostgresError(own)).toBe(own);
});
