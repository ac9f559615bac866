import { Code, ConnectError } from "@connectrpc/connect";
import { DeadlineExceeded } from "@weft/foundation";
import pg from "pg";

/** A commit whose answer was lost. Callers ask {@link isCommitOutcomeUnknown}; to peers it is UNAVAILABLE. */
export class CommitOutcomeUnknown extends Error {
  override readonly name = "CommitOutcomeUnknown";
  constructor(cause: unknown) {
    super("the database went away during a commit", { cause });
  }
}

/**
 * True when the change may have happened or not: who has made something outside the database must ask before undoing it.
 */
export function isCommitOutcomeUnknown(error: unknown): boolean {
  if (error instanceof CommitOutcomeUnknown) return true;
  return error instanceof Error && error.cause !== undefined && isCommitOutcomeUnknown(error.cause);
}

/**
 * Postgres' errors in gRPC's terms. The original stays as `cause`, for the log; no part of it is in the message, since its text may hold values.
 *
 * | what happened | code |
 * | --- | --- |
 * | connection lost or refused, server starting or stopping, too many connections, read-only after a failover | UNAVAILABLE |
 * | the sign-in refused, or no such database: both end when whoever looks after the server has put them right | UNAVAILABLE |
 * | no free connection in time | UNAVAILABLE |
 * | the call's deadline, or a statement timeout | DEADLINE_EXCEEDED |
 * | serialization failure, deadlock, a lock not had in time | ABORTED |
 * | a unique key is taken | ALREADY_EXISTS |
 * | another constraint | FAILED_PRECONDITION |
 * | a value that its type cannot hold | INVALID_ARGUMENT |
 * | memory, disk or another resource of the server | RESOURCE_EXHAUSTED |
 * | anything else: our own mistake | INTERNAL |
 */
export function fromPostgresError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof DeadlineExceeded) return because("deadline exceeded", Code.DeadlineExceeded, error);
  if (error instanceof Error && error.name === "AbortError")
    return because("the call was cancelled", Code.Canceled, error);
  if (error instanceof Error && error.name === "TimeoutError")
    return because("deadline exceeded", Code.DeadlineExceeded, error);
  if (isPoolExhaustion(error)) return because("all database connections are in use", Code.Unavailable, error);
  if (isConnectionLoss(error) || error instanceof CommitOutcomeUnknown)
    return because("the database cannot be reached", Code.Unavailable, error);
  const state = sqlState(error);
  if (state === undefined) return because("database work failed", Code.Internal, error);
  const found = bySqlState.find((entry) => state.startsWith(entry.prefix));
  return because(found?.message ?? "database work failed", found?.code ?? Code.Internal, error);
}

/** The SQLSTATE of an error or of what caused it. */
export function sqlState(error: unknown): string | undefined {
  if (error instanceof pg.DatabaseError) return error.code;
  return error instanceof Error && error.cause !== undefined ? sqlState(error.cause) : undefined;
}

/** Serialization failure or deadlock: the transaction as a whole may succeed when it is run again. */
export function isWorthRerunning(error: unknown): boolean {
  const state = sqlState(error);
  return state === "40001" || state === "40P01";
}

/** True when the server was not reached or left in the middle, and not when it answered with an error. */
export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof pg.DatabaseError) return lossStates.some((prefix) => error.code?.startsWith(prefix) === true);
  if (error instanceof ConnectError || error instanceof CommitOutcomeUnknown)
    return error.cause !== undefined && isConnectionLoss(error.cause);
  if ("code" in error && typeof error.code === "string" && lossCodes.has(error.code)) return true;
  return lossMessage.test(error.message);
}

/** No connection was given back in time: this process asks for too much, and the database may be as well as ever. */
function isPoolExhaustion(error: unknown): boolean {
  return error instanceof Error && error.message === "timeout exceeded when trying to connect";
}

const lossStates = ["08", "57P01", "57P02", "57P03", "53300", "25006", "25P03", "28", "3D000"];

const lossCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
]);

// pg gives these without a code.
const lossMessage =
  /^(?:Connection terminated|timeout expired|Client has encountered a connection error|Client was closed|The server closed|write after end|This socket has been ended)/i;

// The longer prefix first.
const bySqlState: readonly { readonly prefix: string; readonly code: Code; readonly message: string }[] = [
  { prefix: "57014", code: Code.DeadlineExceeded, message: "the database took too long" },
  { prefix: "40", code: Code.Aborted, message: "another change came in between: try again" },
  { prefix: "55P03", code: Code.Aborted, message: "another change is under way: try again" },
  { prefix: "23505", code: Code.AlreadyExists, message: "it exists already" },
  { prefix: "23", code: Code.FailedPrecondition, message: "a rule of the data forbids it" },
  { prefix: "22", code: Code.InvalidArgument, message: "a value cannot be stored" },
  { prefix: "53", code: Code.ResourceExhausted, message: "the database is out of resources" },
];

function because(message: string, code: Code, cause: unknown): ConnectError {
  return new ConnectError(message, code, undefined, undefined, cause);
}
